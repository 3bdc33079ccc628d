"""Counts the digits among generated images: does a generator cover all ten classes?

Needs numpy (2.x) alone, and takes about a minute:

    vae-gpu sample RUN -n 1000 --npy samples.npy
    python tests/interop/mode_coverage.py samples.npy assets/mnist

Each image gets the class of most of its 5 nearest neighbours (squared distance of raw pixels) among the 60,000 training
images. The classifier's own accuracy on the first 1,000 test images is printed beside it.
"""

import gzip
import sys
from pathlib import Path

import numpy as np

NEIGHBOURS = 5
ROWS = 250


def idx(folder, stem):
    path = Path(folder) / stem
    data = gzip.open(f"{path}.gz").read() if not path.exists() else path.read_bytes()
    dimensions = data[3]
    shape = np.frombuffer(data, ">u4", dimensions, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def classify(images, train, labels):
    squares = (train * train).sum(1)
    found = []
    for first in range(0, len(images), ROWS):
        distances = squares - 2 * images[first : first + ROWS] @ train.T
        nearest = np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        found += [np.bincount(labels[row], minlength=10).argmax() for row in nearest]
    return np.array(found)


samples, folder = np.load(sys.argv[1]).astype(np.float32), sys.argv[2]
train = idx(folder, "train-images-idx3-ubyte").reshape(60_000, -1).astype(np.float32) / 255
labels = idx(folder, "train-labels-idx1-ubyte")
test = idx(folder, "t10k-images-idx3-ubyte")[:1000].reshape(1000, -1).astype(np.float32) / 255
right = (classify(test, train, labels) == idx(folder, "t10k-labels-idx1-ubyte")[:1000]).mean()
print(f"classifier: {right:.1%} of 1,000 test images")
counts = np.bincount(classify(samples, train, labels), minlength=10)
print("class:  " + " ".join(f"{digit:5}" for digit in range(10)))
print("samples:" + " ".join(f"{count:5}" for count in counts))
print(f"{(counts > 0).sum()} of 10 classes, {(counts >= 0.01 * len(samples)).sum()} with at least 1 % of the samples")
