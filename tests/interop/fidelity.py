"""Compares the figures of `vae-gpu eval --features-real ... --features-generated ...` with NumPy's and SciPy's.

    pip install numpy scipy
    cargo build --release
    python tests/interop/fidelity.py

The definitions are written anew here, from the papers, with nothing of the crate's: the Fréchet distance by SciPy's root of a matrix
that is not symmetric, as pytorch-fid takes it; neighbours by whole matrices of distances. Features are made up, of 64 and of 512
dimensions, as many as pixels' components and a quarter of Inception's. The exit code is 1 where a figure is off by more than 1e-3.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.linalg import sqrtm

PROGRAM = Path(__file__).resolve().parents[2] / "target/release/vae-gpu"


def frechet(a, b):
    c, d = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(c) + np.trace(d) - 2 * np.trace(sqrtm(c @ d).real)


def kernel(a, b):
    def k(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x):
        gram = k(x, x)
        return (gram.sum() - np.trace(gram)) / (len(x) * (len(x) - 1))

    return within(a) + within(b) - 2 * k(a, b).mean()


def distances(a, b):
    return np.sqrt(np.maximum(0, (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T))


def radii(x, k):
    return np.sort(distances(x, x), axis=1)[:, k]  # the first is the point itself


def figures(real, generated):
    near = distances(real, generated)
    inside = near < radii(real, 5)[:, None]
    return {
        "frechet": frechet(real, generated),
        "kernel": kernel(real, generated),
        "precision": (near <= radii(real, 3)[:, None]).any(0).mean(),
        "recall": (near <= radii(generated, 3)[None]).any(1).mean(),
        "density": inside.sum() / 5 / len(generated),
        "coverage": inside.any(1).mean(),
    }


def main() -> int:
    folder = Path(tempfile.mkdtemp())
    train = ["train", "--data", "uniform:64x16", "--hidden", "8", "--latent", "2", "--epochs", "1", "--device", "cpu"]
    subprocess.run([PROGRAM, *train, "--out", "run", "--quiet"], cwd=folder, check=True)
    random, off = np.random.default_rng(0), False
    for dims in (64, 512):
        mix = random.normal(size=(dims, dims)) / np.sqrt(dims)
        real = random.normal(size=(2000, dims)) @ mix
        generated = 0.9 * random.normal(size=(1500, dims)) @ mix + 0.05
        files = ["real.npy", "generated.npy"]
        for file, rows in zip(files, (real, generated)):
            np.save(folder / file, rows.astype(np.float32))
        command = ["eval", "run", "--device", "cpu", "--samples", "0", "--generations", "2", "--json", "-"]
        command += ["--features-real", files[0], "--features-generated", files[1]]
        printed = subprocess.run([PROGRAM, *command], cwd=folder, check=True, stdout=subprocess.PIPE).stdout
        [found] = [space for space in json.loads(printed)["generations"]["spaces"] if space["space"] == "features"]
        stored = [np.load(folder / file).astype(np.float64) for file in files]
        for name, wanted in figures(*stored).items():
            difference = abs(found[name] - wanted) / max(abs(wanted), 1e-9)
            print(f"{dims} {name}: {found[name]:.6f}, by NumPy and SciPy {wanted:.6f}")
            off |= difference > 1e-3 and abs(found[name] - wanted) > 1e-6
    return int(off)


if __name__ == "__main__":
    sys.exit(main())
