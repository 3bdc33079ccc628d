"""The works of `vae-gpu bench` in JAX: a JSON object a line, images a second as the median over nine parts of a run.

    python3 jax_peer.py --data ../../assets/mnist [--work standard-128] [--device cpu|cuda] [--seconds 10]

The same step as ours, as pytorch.py says. The whole of it is compiled, with several steps in one `lax.scan` whose state
(parameters, both moments, the step's number) is donated; Adam is the few lines of its definition.
"""

import os

import common

args = common.parser(common.DENSE).parse_args()
os.environ["JAX_PLATFORMS"] = args.device

import jax  # noqa: E402  (the platform is chosen before)
import numpy as np  # noqa: E402
from jax import numpy as jnp  # noqa: E402

images = jnp.asarray(common.mnist(args.data))


def initial(key, sizes):
    """PyTorch's: uniform, within 1 / sqrt(inputs)."""
    layers = []
    for inputs, outputs in sizes:
        key, a, b = jax.random.split(key, 3)
        bound = inputs**-0.5
        layers.append((jax.random.uniform(a, (inputs, outputs), minval=-bound, maxval=bound),
                       jax.random.uniform(b, (outputs,), minval=-bound, maxval=bound)))
    return layers


def loss(layers, x, noise):
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = layers
    mean, logvar = jnp.split(jax.nn.relu(x @ w1 + b1) @ w2 + b2, 2, 1)
    z = mean + jnp.exp(0.5 * logvar) * noise
    logits = jax.nn.relu(z @ w3 + b3) @ w4 + b4
    recon = jnp.sum(jnp.maximum(logits, 0) - logits * x + jnp.log1p(jnp.exp(-jnp.abs(logits))))
    kl = 0.5 * jnp.sum(jnp.exp(logvar) + mean * mean - 1 - logvar)
    return (recon + kl) / len(x)


def steps(state, images, chosen, latent):
    """A step for each row of `chosen`, which holds a batch's indices."""

    def step(state, chosen):
        layers, first, second, t = state
        noise = jax.random.normal(jax.random.fold_in(jax.random.key(1), t), (len(chosen), latent))
        value, slopes = jax.value_and_grad(loss)(layers, images[chosen], noise)
        t += 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slopes)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, slopes)
        rate, scale = 1e-3 / (1 - 0.9**t), 1 / (1 - 0.999**t)
        layers = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(scale * v) + 1e-8), layers, first, second)
        return (layers, first, second, t), value

    return jax.lax.scan(step, state, chosen)


def measure(name):
    hidden, latent, batch = common.DENSE[name]
    clock = common.Clock(f"JAX {jax.__version__}", name)
    layers = initial(jax.random.key(0), [(784, hidden), (hidden, 2 * latent), (latent, hidden), (hidden, 784)])
    zeros = jax.tree.map(jnp.zeros_like, (layers, layers))
    state = [(layers, *zeros, jnp.int32(0))]
    order = common.batches(len(images), batch)
    compiled = jax.jit(steps, static_argnums=3, donate_argnums=0)

    def advance(count):
        chosen = np.stack([next(order) for _ in range(count)])
        state[0], losses = compiled(state[0], images, chosen, latent)
        jax.block_until_ready(state[0])
        return count, losses[-1]

    clock.first_step(lambda: advance(1))
    clock.measure(lambda: advance(common.chunk(batch)), args)


for name in [args.work] if args.work else common.DENSE:
    measure(name)
