"""The works of `vae-gpu bench` in TensorFlow: a JSON object a line, images a second as the median over nine parts of a
run.

    python3 tensorflow_peer.py --data ../../assets/mnist [--work standard-128] [--variant xla|graph] [--seconds 10]

As pytorch.py says, the same step as ours. A `tf.function` takes steps in a `tf.range` loop, compiled by XLA or as
a graph of TensorFlow's own kernels; Adam is TensorFlow's fused one.
"""

import os

import common

parser = common.parser(common.DENSE)
parser.add_argument("--variant", choices=["xla", "graph"], default="xla")
args = parser.parse_args()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if args.device == "cpu":
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np  # noqa: E402  (the devices are chosen before)
import tensorflow as tf  # noqa: E402

if args.device != "cpu" and not tf.config.list_physical_devices("GPU"):
    raise SystemExit("TensorFlow finds no GPU")
images = tf.constant(common.mnist(args.data))


def measure(name):
    hidden, latent, batch = common.DENSE[name]
    clock = common.Clock(f"TensorFlow {tf.__version__} {args.variant}", name)
    variables = []
    for inputs, outputs in [(784, hidden), (hidden, 2 * latent), (latent, hidden), (hidden, 784)]:
        bound = inputs**-0.5  # PyTorch's: uniform, within 1 / sqrt(inputs)
        variables += [tf.Variable(tf.random.uniform(shape, -bound, bound)) for shape in [(inputs, outputs), (outputs,)]]
    moments = [(tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for v in variables]
    at = tf.Variable(0, dtype=tf.int64)
    order = common.batches(len(images), batch)

    def step(chosen):
        x = tf.gather(images, chosen)
        noise = tf.random.stateless_normal((batch, latent), tf.stack([at, 0]))
        with tf.GradientTape() as tape:
            w1, b1, w2, b2, w3, b3, w4, b4 = variables
            mean, logvar = tf.split(tf.nn.relu(x @ w1 + b1) @ w2 + b2, 2, 1)
            logits = tf.nn.relu((mean + tf.exp(0.5 * logvar) * noise) @ w3 + b3) @ w4 + b4
            recon = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, logits))
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
        loss = tf.constant(0.0)
        for i in tf.range(len(chosen)):
            loss = step(chosen[i])
        return loss

    def advance(count):
        chosen = tf.constant(np.stack([next(order) for _ in range(count)]))
        return count, steps(chosen).numpy()

    clock.first_step(lambda: advance(1))
    clock.measure(lambda: advance(common.chunk(batch)), args)


with tf.device("/CPU:0" if args.device == "cpu" else "/GPU:0"):
    for name in [args.work] if args.work else common.DENSE:
        measure(name)
