"""The works of `vae-gpu bench` in JAX: a JSON object a line, images a second as the median over nine parts of a run.

    python3 jax_peer.py --data ../../assets/mnist [--work standard-128] [--device cpu|cuda] [--seconds 10]

The same step as ours, as pytorch.py says. The whole of it is compiled, with several steps in one `lax.scan` whose state
(parameters, both moments, the step's number) is donated; Adam is the few lines of its definition. Convolutions take
images as NHWC; NCHW was as fast on the CPU. There XLA makes them some 40 times as slow in a loop, so a call is a step;
and its own gradients of transposed ones' weights took a hundred times as long as those that are written here.
"""

import math
import os
from functools import partial

import common

args = common.parser(common.BATCH).parse_args()
os.environ["JAX_PLATFORMS"] = args.device

import jax  # noqa: E402  (the platform is chosen before)
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402
from jax import numpy as jnp  # noqa: E402


def initial(key, layers):
    """PyTorch's: uniform, within 1 / sqrt(inputs), where transposed convolutions have those of the convolution."""
    weights = []
    for kind, inputs, outputs, *kernel in layers:
        key, a, b = jax.random.split(key, 3)
        window = kernel[:1] * 2
        sides = (outputs, inputs) if kind == "transposed" else (inputs, outputs)
        bound = (math.prod(window) * sides[0]) ** -0.5
        weights.append((jax.random.uniform(a, (*window, *sides), minval=-bound, maxval=bound),
                           jax.random.uniform(b, (outputs,), minval=-bound, maxval=bound)))
    return weights


def conv(x, w, stride):
    return lax.conv_general_dilated(x, w, (stride, stride), [(1, 1)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def transposed(x, w, stride):
    """What `conv` of these weights does to gradients; `stride` times the size."""
    n, height, width, _ = x.shape
    y = jnp.zeros((n, stride * height, stride * width, w.shape[2]))
    return jax.vjp(lambda y: conv(y, w, stride), y)[1](x)[0]


def gradients(stride, inputs, slope):
    x, w = inputs
    y, pull = jax.vjp(lambda w: conv(slope, w, stride), w)
    return y, pull(x)[0]


transposed.defvjp(lambda x, w, stride: (transposed(x, w, stride), (x, w)), gradients)


def run(layers, weights, x):
    """The layers with ReLU between them."""
    for i, ((kind, inputs, _, *kernel), (w, b)) in enumerate(zip(layers, weights)):
        x = jax.nn.relu(x) if i else x
        if kind == "dense":
            x = x.reshape(len(x), -1) @ w
        elif kind == "conv":
            x = conv(x, w, kernel[1])
        else:
            side = math.isqrt(x[0].size // inputs)
            x = transposed(x.reshape(len(x), side, side, inputs), w, kernel[1])
        x += b
    return x


def loss(weights, work, x, noise):
    encoder, decoder = common.layers(work)
    mean, logvar = jnp.split(run(encoder, weights[: len(encoder)], x), 2, 1)
    y = run(decoder, weights[len(encoder) :], mean + jnp.exp(0.5 * logvar) * noise)
    if work == "conv-64":
        recon = jnp.sum((jax.nn.sigmoid(y) - x) ** 2)
    else:
        recon = jnp.sum(jnp.maximum(y, 0) - y * x + jnp.log1p(jnp.exp(-jnp.abs(y))))
    kl = 0.5 * jnp.sum(jnp.exp(logvar) + mean * mean - 1 - logvar)
    return (recon + kl) / len(x)


def steps(state, images, chosen, work):
    """A step for each row of `chosen`, which holds a batch's indices."""

    def step(state, chosen):
        weights, first, second, t = state
        latent = common.layers(work)[1][0][1]
        noise = jax.random.normal(jax.random.fold_in(jax.random.key(1), t), (len(chosen), latent))
        value, slopes = jax.value_and_grad(loss)(weights, work, images[chosen], noise)
        t += 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slopes)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, slopes)
        rate, scale = 1e-3 / (1 - 0.9**t), 1 / (1 - 0.999**t)
        weights = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(scale * v) + 1e-8), weights, first, second)
        return (weights, first, second, t), value

    if len(chosen) == 1:
        state, value = step(state, chosen[0])
        return state, value[None]
    return lax.scan(step, state, chosen)


def measure(name):
    if name in common.CONV:
        images = jnp.asarray(common.images(name, args.data).transpose(0, 2, 3, 1))
    else:
        images = jnp.asarray(common.mnist(args.data))
    clock = common.Clock(f"JAX {jax.__version__}", name)
    encoder, decoder = common.layers(name)
    weights = initial(jax.random.key(0), encoder + decoder)
    zeros = jax.tree.map(jnp.zeros_like, (weights, weights))
    state = [(weights, *zeros, jnp.int32(0))]
    order = common.batches(len(images), common.BATCH[name])
    compiled = jax.jit(steps, static_argnums=3, donate_argnums=0)

    def advance(count):
        chosen = np.stack([next(order) for _ in range(count)])
        state[0], losses = compiled(state[0], images, chosen, name)
        jax.block_until_ready(state[0])
        return count, losses[-1]

    clock.first_step(lambda: advance(1))
    clock.measure(lambda: advance(common.chunk(name, args.device)), args)


for name in [args.work] if args.work else common.BATCH:
    measure(name)
