"""A run's networks in PyTorch: load("runs/NAME") gives an nn.ModuleDict of nn.Sequential. Needs torch and safetensors.

A network that begins with a convolution takes images [batch, channels, height, width], and one that ends in one gives them;
dense ones take and give vectors, whose values are in the order of [height, width, channels].
"""

import json
import re
from pathlib import Path

from safetensors import safe_open
from torch import nn

ACTIVATIONS = {"identity": nn.Identity, "relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "tanh": nn.Tanh,
               "sigmoid": nn.Sigmoid, "softplus": nn.Softplus, "silu": nn.SiLU, "gelu": nn.GELU}  # fmt: skip


class Residual(nn.Module):
    """activation(norm2(conv2(activation(norm1(conv1(x))))) + skip(x))"""

    def __init__(self, inputs, channels, activation, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, padding=1, bias=norm is None)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=norm is None)
        self.norm1, self.norm2 = (normalisation(norm, channels) if norm else nn.Identity() for _ in range(2))
        self.skip = nn.Conv2d(inputs, channels, 1) if inputs != channels else nn.Identity()
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x):
        h = self.activation(self.norm1(self.conv1(x)))
        return self.activation(self.norm2(self.conv2(h)) + self.skip(x))


def normalisation(words, channels):
    if words[0] == "batch-norm":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(int(words[1]) if words[0] == "group-norm" else 1, channels)


def window(words):
    """kernel, stride, padding and dilation of k4 s2 p1 d1, and the size of HxW if there is one."""
    numbers = {word[0]: int(word[1:]) for word in words if word[0] in "kspd"}
    k, s, d = (numbers.get(key, default) for key, default in (("k", 3), ("s", 1), ("d", 1)))
    size = [tuple(map(int, word.split("x"))) for word in words if re.fullmatch(r"\d+x\d+", word)]
    return k, s, numbers.get("p", d * (k - 1) // 2), d, (size or [None])[0]


def positions(extent, k, s, p, d):
    return (extent + 2 * p - d * (k - 1) - 1) // s + 1


def module(text, shape, normed):
    """The module of a layer, and the shape behind it: (values,) or (channels, height, width)."""
    kind, *words = text.split()
    if kind in ACTIVATIONS:
        return ACTIVATIONS[kind](), shape
    if kind == "dense":
        return nn.Linear(shape[0], int(words[0]), bias=not normed), (int(words[0]),)
    if kind == "flatten":
        return nn.Flatten(), (shape[0] * shape[1] * shape[2],)
    if kind == "unflatten":
        shape = (int(words[0]), *map(int, words[1].split("x")))
        return nn.Unflatten(1, shape), shape
    if kind.endswith("-norm"):
        if len(shape) == 1 and kind == "batch-norm":
            return nn.BatchNorm1d(shape[0]), shape
        return normalisation([kind, *words], shape[0]), shape
    channels, height, width = shape
    if kind == "conv":
        k, s, p, d, _ = window(words[1:])
        out = (int(words[0]), positions(height, k, s, p, d), positions(width, k, s, p, d))
        return nn.Conv2d(channels, out[0], k, s, p, d, bias=not normed), out
    if kind == "conv-transpose":
        k, s, p, d, size = window(words[1:])
        least = [(extent - 1) * s + d * (k - 1) + 1 - 2 * p for extent in (height, width)]
        if size is None:
            size = [e * s if positions(e * s, k, s, p, d) == e else least[i] for i, e in enumerate((height, width))]
        padding = tuple(extent - smallest for extent, smallest in zip(size, least))
        conv = nn.ConvTranspose2d(channels, int(words[0]), k, s, p, padding, bias=not normed, dilation=d)
        return conv, (int(words[0]), *size)
    if kind in ("max-pool", "avg-pool"):
        k = int(words[0])
        numbers = {word[0]: int(word[1:]) for word in words[1:]}
        s, p = numbers.get("s", k), numbers.get("p", 0)
        pool = nn.MaxPool2d if kind == "max-pool" else nn.AvgPool2d
        return pool(k, s, p), (channels, positions(height, k, s, p, 1), positions(width, k, s, p, 1))
    if kind == "upsample":
        to = tuple(map(int, words[1].split("x"))) if "x" in words[1] else (height * int(words[1]), width * int(words[1]))
        return nn.Upsample(size=to, mode=words[0]), (channels, *to)
    if kind == "res":
        return Residual(channels, int(words[0]), words[1], words[2:] or None), (int(words[0]), height, width)
    raise ValueError(f"{text!r} is no layer")


def network(layers, image, latent, out, end):
    """Layers from an image, or from a latent where `image` is none, to so many values or to an image's shape."""
    kinds = [layer.split()[0] for layer in layers if layer not in ACTIVATIONS]
    takes_vectors = image is None or not kinds or kinds[0] in ("dense", "unflatten")
    shape = (latent,) if image is None else (image[0] * image[1] * image[2],) if takes_vectors else image
    modules = []
    for text, behind in zip(layers, [*layers[1:], ""]):
        made, shape = module(text, shape, behind.split(" ")[0].endswith("-norm"))
        modules.append(made)
    if len(shape) == 3 and len(out) == 1:
        modules.append(nn.Flatten())
        shape = (shape[0] * shape[1] * shape[2],)
    if len(shape) == 1:
        modules.append(nn.Linear(shape[0], out[0] if len(out) == 1 else out[0] * out[1] * out[2]))
    return nn.Sequential(*modules, ACTIVATIONS[end]())


def load(run, checkpoint="best"):
    """encoder and decoder, of a gan generator and discriminator. A posterior's encoder ends in [mean | logvar]."""
    with safe_open(Path(run) / "checkpoints" / f"{checkpoint}.safetensors", "pt") as file:
        model = json.loads(file.metadata()["vae-gpu"])["model"]
        weights = {name: file.get_tensor(name) for name in file.keys() if not name.startswith(("adam.", "decoder.logvar"))}
    height, width, channels = model["image"]
    image, latent = (channels, height, width), model["latent"]
    posterior = model["model"] in ("vae", "iwae")
    gan = model["model"] == "gan"
    code = "identity" if posterior or gan else model["code-activation"]
    values = (1 if gan else 2 * latent if posterior else latent,)
    names = ("discriminator", "generator") if gan else ("encoder", "decoder")
    networks = nn.ModuleDict({
        names[0]: network(model["encoder"], image, None, values, code),
        names[1]: network(model["decoder"], None, latent, image, model["output"]),
    })  # fmt: skip
    networks.load_state_dict(weights)
    return networks.eval()
