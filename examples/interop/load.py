"""A run's networks in PyTorch: load("runs/NAME") gives an nn.ModuleDict of nn.Sequential. Needs torch and safetensors."""

import json
from pathlib import Path

from safetensors import safe_open
from torch import nn

MODULES = {"identity": nn.Identity, "relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "tanh": nn.Tanh,
           "sigmoid": nn.Sigmoid, "softplus": nn.Softplus, "silu": nn.SiLU, "gelu": nn.GELU}  # fmt: skip


def load(run, checkpoint="best"):
    """encoder and decoder, of a gan generator and discriminator. A posterior's encoder ends in [mean | logvar]."""
    with safe_open(Path(run) / "checkpoints" / f"{checkpoint}.safetensors", "pt") as file:
        model = json.loads(file.metadata()["vae-gpu"])["model"]
        weights = {name: file.get_tensor(name) for name in file.keys() if not name.startswith(("adam.", "decoder.logvar"))}
    code = "identity" if model["model"] in ("vae", "iwae") else model["code-activation"]
    ends = {"encoder": code, "decoder": model["output"], "generator": model["output"], "discriminator": "identity"}
    networks = nn.ModuleDict({name: nn.Sequential() for name in ends if f"{name}.0.weight" in weights})
    for name, network in networks.items():
        layers = sorted(int(key.split(".")[1]) for key in weights if key.startswith(name) and key.endswith(".weight"))
        for layer in layers:
            outputs, inputs = weights[f"{name}.{layer}.weight"].shape
            end = ends[name] if layer == layers[-1] else model["activation"]
            network.extend([nn.Linear(inputs, outputs), MODULES[end]()])
    networks.load_state_dict(weights)
    return networks
