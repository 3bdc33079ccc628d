"""Puts a checkpoint's weights into a plain PyTorch model and compares its reconstructions with vae-gpu's.

    vae-gpu reconstruct RUN -n 100 --npy means.npy
    python3 tests/interop/reconstruct.py RUN/checkpoints/best.safetensors means.npy

Needs torch, safetensors and numpy. For the default architecture's shape: ReLU, BCE, MNIST's test images.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

weights = {name: value for name, value in load_file(sys.argv[1]).items() if not name.startswith("adam.")}
means = np.load(sys.argv[2])


def stack(prefix):
    layers = sorted(int(name.split(".")[1]) for name in weights if name.startswith(prefix) and name.endswith(".weight"))
    modules = []
    for layer in layers:
        out_features, in_features = weights[f"{prefix}.{layer}.weight"].shape
        modules += [nn.Linear(in_features, out_features), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


model = nn.ModuleDict({"encoder": stack("encoder"), "decoder": stack("decoder")})
model.load_state_dict(weights)

path = Path(__file__).parents[2] / "assets/mnist/t10k-images-idx3-ubyte.gz"
pixels = np.frombuffer(gzip.open(path).read(), np.uint8, offset=16).reshape(10000, -1)[: len(means)]
with torch.no_grad():
    x = torch.from_numpy(pixels.astype(np.float32) / 255)
    mean, _ = model["encoder"](x).chunk(2, dim=1)
    wanted = torch.sigmoid(model["decoder"](mean)).numpy()
worst = np.abs(wanted - means).max()
print(f"torch {torch.__version__}: {len(means)} images, largest difference {worst:.2e}")
sys.exit(bool(worst > 1e-5))
