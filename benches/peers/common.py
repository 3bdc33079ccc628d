"""What the Python peers share: the works, MNIST, shuffled batches, and the clock that prints a JSON object a work.

Beside the speed, an object has `loss` (nats an image at the last step: the work is training, and the same everywhere)
and `first_step_at`, the time of day at which the first step was finished.

With `--turns` programs take turns, as run.py lets them: each measures a part, prints its seconds a step and waits for a
line of input before the next; when input ends it prints the object as it always does.
"""

import argparse
import gzip
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

# Hidden and latent size, and batch; of the convolutional works the batch.
DENSE = {"standard-128": (400, 20, 128), "standard-1024": (400, 20, 1024), "wide-1024": (2048, 64, 1024)}
CONV = {"conv-28": 128, "conv-64": 64}
BATCH = {**{name: work[2] for name, work in DENSE.items()}, **CONV}


def parser(works):
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", choices=works, default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--turns", action="store_true")
    return parser


def mnist(folder):
    """The training images as f32 in 0 to 1, one a row."""
    path = Path(folder) / "train-images-idx3-ubyte"
    raw = path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read()
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / 255


def images(work, folder):
    """The images of a convolutional work, [n, channels, height, width]: digits, or made-up colours of 64x64."""
    if work == "conv-28":
        return mnist(folder).reshape(-1, 1, 28, 28)
    return np.random.default_rng(0).random((1024, 3, 64, 64), np.float32)


def batches(count, batch):
    """Whole batches of shuffled indices, epoch after epoch."""
    random = np.random.default_rng(0)
    while True:
        yield from random.permutation(count)[: count // batch * batch].astype(np.int32).reshape(-1, batch)


def layers(work):
    """The encoder's layers and the decoder's: kind, inputs, outputs; of convolutions also kernel and stride."""
    if work in DENSE:
        hidden, latent, _ = DENSE[work]
        encoder = [("dense", 784, hidden), ("dense", hidden, 2 * latent)]
        decoder = [("dense", latent, hidden), ("dense", hidden, 784)]
    elif work == "conv-28":
        encoder = [("conv", 1, 32, 3, 2), ("conv", 32, 64, 3, 2), ("dense", 3136, 16), ("dense", 16, 4)]
        transposed = [("transposed", 64, 64, 3, 2), ("transposed", 64, 32, 3, 2), ("transposed", 32, 1, 3, 1)]
        decoder = [("dense", 2, 3136), *transposed]
    else:
        pairs = [(3, 32), (32, 64), (64, 128), (128, 256)]
        encoder = [*(("conv", inner, outer, 4, 2) for inner, outer in pairs), ("dense", 4096, 256)]
        decoder = [("dense", 128, 4096), *(("transposed", outer, inner, 4, 2) for inner, outer in reversed(pairs))]
    return encoder, decoder


def chunk(work, device):
    """Steps a call of a peer that takes several in one; one where steps are long, of convolutions on a CPU."""
    return 1 if work in CONV and device == "cpu" else max(8, 4096 // BATCH[work])


class Clock:
    """Starts when made; `advance()` takes steps, waits for their end, and gives their number and the last loss."""

    def __init__(self, peer, work):
        self.peer, self.work, self.began = peer, work, time.perf_counter()

    def first_step(self, advance):
        advance()
        self.first, self.first_at = time.perf_counter() - self.began, time.time()

    def measure(self, advance, args):
        def part():
            began, done = time.perf_counter(), 0
            while done == 0 or time.perf_counter() - began < args.seconds / 10:
                steps, self.loss = advance()
                done += steps
            return (time.perf_counter() - began) / done

        def turns():
            asked = True
            while asked:
                seconds = part()
                print(seconds, flush=True)
                yield seconds
                asked = sys.stdin.readline()

        part()
        step = statistics.median(turns() if args.turns else (part() for _ in range(9)))
        print(json.dumps({
            "work": self.work,
            "peer": self.peer,
            "images_per_s": BATCH[self.work] / step,
            "ms_per_step": 1e3 * step,
            "first_step_s": self.first,
            "first_step_at": self.first_at,
            "loss": float(self.loss),
        }), flush=True)
