"""The works of `vae-gpu bench` in TensorFlow: a JSON object a line, images a second as the median over nine parts of a
run.

    python3 tensorflow_peer.py --data ../../assets/mnist [--work standard-128] [--variant xla|graph] [--seconds 10]

As pytorch.py says, the same step as ours. A `tf.function` takes steps in a `tf.range` loop, compiled by XLA or as
a graph of TensorFlow's own kernels; Adam is TensorFlow's fused one. Convolutions take images as NHWC: the CPU's kernels
have no other, and with XLA NCHW was as fast. XLA makes them many times as slow in a loop there, so a call is one step.
"""

import math
import os

import common

parser = common.parser(common.BATCH)
parser.add_argument("--variant", choices=["xla", "graph"], default="xla")
args = parser.parse_args()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if args.device == "cpu":
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np  # noqa: E402  (the devices are chosen before)
import tensorflow as tf  # noqa: E402

if args.device != "cpu" and not tf.config.list_physical_devices("GPU"):
    raise SystemExit("TensorFlow finds no GPU")
PADDING = [[0, 0], [1, 1], [1, 1], [0, 0]]


def initial(layers):
    """PyTorch's: uniform, within 1 / sqrt(inputs), where transposed convolutions have those of the convolution."""
    variables = []
    for kind, inputs, outputs, *kernel in layers:
        window = kernel[:1] * 2
        sides = (outputs, inputs) if kind == "transposed" else (inputs, outputs)
        bound = (math.prod(window) * sides[0]) ** -0.5
        variables += [tf.Variable(tf.random.uniform(shape, -bound, bound)) for shape in [(*window, *sides), (outputs,)]]
    return variables


def run(layers, variables, x):
    """The layers with ReLU between them. Transposed convolutions give `stride` times the size."""
    for i, (kind, inputs, outputs, *kernel) in enumerate(layers):
        w, b = variables[2 * i : 2 * i + 2]
        x = tf.nn.relu(x) if i else x
        if kind == "dense":
            x = tf.reshape(x, (x.shape[0], -1)) @ w
        elif kind == "conv":
            x = tf.nn.conv2d(x, w, kernel[1], PADDING)
        else:
            side = math.isqrt(math.prod(x.shape[1:]) // inputs)
            size = kernel[1] * side
            x = tf.reshape(x, (x.shape[0], side, side, inputs))
            x = tf.nn.conv2d_transpose(x, w, (x.shape[0], size, size, outputs), kernel[1], PADDING)
        x += b
    return x


def measure(name):
    batch = common.BATCH[name]
    if name in common.CONV:
        images = tf.constant(common.images(name, args.data).transpose(0, 2, 3, 1))
    else:
        images = tf.constant(common.mnist(args.data))
    clock = common.Clock(f"TensorFlow {tf.__version__} {args.variant}", name)
    encoder, decoder = common.layers(name)
    variables = initial(encoder + decoder)
    moments = [(tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for v in variables]
    at = tf.Variable(0, dtype=tf.int64)
    order = common.batches(len(images), batch)

    def step(chosen):
        x = tf.gather(images, chosen)
        noise = tf.random.stateless_normal((batch, decoder[0][1]), tf.stack([at, 0]))
        with tf.GradientTape() as tape:
            mean, logvar = tf.split(run(encoder, variables[: 2 * len(encoder)], x), 2, 1)
            y = run(decoder, variables[2 * len(encoder) :], mean + tf.exp(0.5 * logvar) * noise)
            if name == "conv-64":
                recon = tf.reduce_sum(tf.math.squared_difference(tf.sigmoid(y), x))
            else:
                recon = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, y))
            kl = 0.5 * tf.reduce_sum(tf.exp(logvar) + mean * mean - 1 - logvar)
            loss = (recon + kl) / batch
        slopes = tape.gradient(loss, variables)
        t = tf.cast(at.assign_add(1), tf.float32)
        for variable, (m, v), slope in zip(variables, moments, slopes):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=m.handle, v=v.handle, beta1_power=0.9**t, beta2_power=0.999**t, lr=1e-3,
                beta1=0.9, beta2=0.999, epsilon=1e-8, grad=slope)
        return loss

    @tf.function(jit_compile=args.variant == "xla")
    def steps(chosen):
        if len(chosen) == 1:
            return step(chosen[0])
        loss = tf.constant(0.0)
        for i in tf.range(len(chosen)):
            loss = step(chosen[i])
        return loss

    def advance(count):
        chosen = tf.constant(np.stack([next(order) for _ in range(count)]))
        return count, steps(chosen).numpy()

    clock.first_step(lambda: advance(1))
    clock.measure(lambda: advance(common.chunk(name, args.device)), args)


with tf.device("/CPU:0" if args.device == "cpu" else "/GPU:0"):
    for name in [args.work] if args.work else common.BATCH:
        measure(name)
