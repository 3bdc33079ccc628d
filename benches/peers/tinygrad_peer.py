"""The works of `vae-gpu bench` in tinygrad, through WebGPU: a JSON object a line, images a second as the median over
nine parts of a run.

    python3 tinygrad_peer.py --data ../../assets/mnist [--work standard-128] [--seconds 10]

The same step as ours, as pytorch.py says. Tinygrad writes WGSL that Dawn runs, which the package dawn-python has;
the step is a TinyJit, and compiled kernels stay in tinygrad's cache on the disk. Data is resident as f32, the first 40,000
images of it: 128 MiB is what every device can bind at once. They are shuffled once, and a batch is the next ones of them,
less work than ours: rows that are picked by number are each compared with every position, and no step came to its end.
"""

import itertools
import os
import sysconfig

import common
import numpy as np

args = common.parser(common.DENSE).parse_args()
os.environ["DEV"] = "WEBGPU"
os.environ.setdefault("WEBGPU_PATH", f"{sysconfig.get_paths()['purelib']}/pydawn/lib/libwebgpu_dawn_x86_64.so")

from importlib.metadata import version  # noqa: E402  (the device is chosen before)

from tinygrad import Context, Device, Tensor, TinyJit, nn  # noqa: E402

images = Tensor(np.random.default_rng(0).permutation(common.mnist(args.data)[:40_000])).realize()


class Vae:
    def __init__(self, hidden, latent):
        self.encode, self.posterior = nn.Linear(784, hidden), nn.Linear(hidden, 2 * latent)
        self.decode, self.pixels = nn.Linear(latent, hidden), nn.Linear(hidden, 784)

    def loss(self, x):
        mean, logvar = self.posterior(self.encode(x).relu()).chunk(2, 1)
        z = mean + (0.5 * logvar).exp() * Tensor.randn(*mean.shape)
        logits = self.pixels(self.decode(z).relu())
        recon = logits.binary_crossentropy_logits(x, reduction="sum")
        kl = 0.5 * (logvar.exp() + mean * mean - 1 - logvar).sum()
        return (recon + kl) / x.shape[0]


def measure(name):
    hidden, latent, batch = common.DENSE[name]
    clock = common.Clock(f"tinygrad {version('tinygrad')} WebGPU", name)
    vae = Vae(hidden, latent)
    adam = nn.optim.Adam(nn.state.get_parameters(vae), lr=1e-3, eps=1e-8)
    starts = itertools.cycle(range(0, len(images) - batch + 1, batch))

    @TinyJit
    def step(x):
        adam.zero_grad()
        loss = vae.loss(x).backward()
        return loss.realize(*adam.schedule_step())

    def advance(count):
        for _ in range(count):
            start = next(starts)
            loss = step(images[start : start + batch].contiguous().realize())
        Device[Device.DEFAULT].synchronize()
        return count, loss.item()

    clock.first_step(lambda: advance(1))
    advance(2)  # the jit captures at the second call
    clock.measure(lambda: advance(8), args)


for name in [args.work] if args.work else common.DENSE:
    with Context(TRAINING=1):
        measure(name)
