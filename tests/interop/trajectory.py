"""Ten training steps in PyTorch, float64: of a small dense VAE, and of the network of the preset keras-conv.

    python3 tests/interop/trajectory.py > tests/fixtures/trajectory.json
    python3 tests/interop/trajectory.py tests/fixtures/conv-trajectory.safetensors

Needs torch and safetensors. Written from the papers and this project's documentation, not from its code: Philox4x32-10 in
Python integers, normals from the standard library's inverse CDF, gradients from autograd, updates from torch.optim.Adam.

The second has 134,165 parameters: all of them are kept, rounded to f32, with PyTorch's names and shapes; the losses in f64.
"""

import json
import math
import statistics
import struct
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

SEED, BETA, RATE = 7, 0.5, 1e-3
INITIALISE, ORDER, POSTERIOR = 0, 1, 2
torch.set_default_dtype(torch.float64)


def philox(counter, key):
    counter, key = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (b >> 32) ^ counter[1] ^ key[0],
            b & 0xFFFFFFFF,
            (a >> 32) ^ counter[3] ^ key[1],
            a & 0xFFFFFFFF,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def bits(stream, step, example, element):
    return philox([element // 4, example, step & 0xFFFFFFFF, step >> 32], [SEED, stream])[element % 4]


def normal(*draw):
    return statistics.NormalDist().inv_cdf(((bits(*draw) >> 8) + 0.5) / 2**24)


def order(epoch, n):
    """Eight Feistel rounds on two halves of the fewest bits that hold n, walked until below n."""
    keys = [bits(ORDER, epoch, 0, round) for round in range(8)]
    half = ((n - 1).bit_length() + 1) // 2
    mask = 2**half - 1

    def mix(x):
        x = ((x ^ x >> 16) * 0x7FEB352D) & 0xFFFFFFFF
        x = ((x ^ x >> 15) * 0x846CA68B) & 0xFFFFFFFF
        return x ^ x >> 16

    def walk(at):
        while True:
            left, right = at >> half, at & mask
            for key in keys:
                left, right = right, left ^ (mix(right ^ key) & mask)
            at = left << half | right
            if at < n:
                return at

    return [walk(position) for position in range(n)]


def images(n, height, width):
    def pixel(i, row, col):
        return 255 // (1 + abs(row + i - col - 2 * (i % 3)) % 7) / 255

    return torch.tensor([[[[pixel(i, y, x) for x in range(width)] for y in range(height)]] for i in range(n)])


def uniform(index, shape, bound):
    """The first values of parameter number `index`, rounded to f32."""
    uniforms = [(bits(INITIALISE, 0, index, e) >> 8) / 2**24 for e in range(math.prod(shape))]
    values = [struct.unpack("f", struct.pack("f", bound * (2 * u - 1)))[0] for u in uniforms]
    return torch.tensor(values).reshape(shape)


def linear_init(model):
    """Weights and biases by the rule of nn.Linear."""
    for index, parameter in enumerate(model.parameters()):
        fan_in = parameter.shape[1] if parameter.dim() == 2 else fan_in
        parameter.data = uniform(index, parameter.shape, fan_in**-0.5)


def glorot_init(model, flattened):
    """Weights by Glorot and Bengio 2010, biases 0. Draws are in the order of channels last: of a kernel [map, k, k, image], and
    so along the axis of a dense layer that stands for images [channels, height, width]; `flattened` has both by name."""
    for index, (name, parameter) in enumerate(model.named_parameters()):
        if parameter.dim() == 1:
            parameter.data.zero_()
            continue
        out, inner, *kernel = parameter.shape
        bound = (6 / ((out + inner) * math.prod(kernel))) ** 0.5
        if kernel:
            drawn = uniform(index, [out, *kernel, inner], bound).movedim(3, 1)
        else:
            drawn = uniform(index, parameter.shape, bound)
        if name in flattened:
            axis, (channels, height, width) = flattened[name]
            drawn = drawn.unflatten(axis, (height, width, channels)).movedim(axis + 2, axis)
        parameter.data = drawn.reshape(parameter.shape).contiguous()


def dense(sizes):
    layers = [layer for shape in zip(sizes, sizes[1:]) for layer in (nn.Linear(*shape), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def train(model, data, batch, latent, epsilon):
    """The losses of ten steps, each [loss, reconstruction, KL]."""
    adam = torch.optim.Adam(model.parameters(), lr=RATE, eps=epsilon)
    losses, n = [], len(data)
    epoch = -(-n // batch)
    for step in range(10):
        first = step % epoch * batch
        rows = min(batch, n - first)
        x = data[order(step // epoch, n)[first : first + rows]]
        eps = torch.tensor([[normal(POSTERIOR, step, first + r, e) for e in range(latent)] for r in range(rows)])
        mean, logvar = model["encoder"](x).chunk(2, dim=1)
        logits = model["decoder"](mean + (logvar / 2).exp() * eps)
        reconstruction = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / rows
        kl = (logvar.exp() + mean**2 - 1 - logvar).sum() / 2 / rows
        loss = reconstruction + BETA * kl
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append([loss.item(), reconstruction.item(), kl.item()])
    return losses


def small():
    model = nn.ModuleDict({"encoder": dense([30, 17, 9, 6]), "decoder": dense([3, 9, 17, 30])})
    linear_init(model)
    losses = train(model, images(101, 6, 5).flatten(1), 16, 3, 1e-8)
    parameters = {name: value.flatten().tolist() for name, value in model.state_dict().items()}
    print(json.dumps({"torch": torch.__version__, "losses": losses, "parameters": parameters}))


def keras_conv(path):
    image, half = (64, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1}
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, **half), nn.ReLU(), nn.Conv2d(32, 64, **half), nn.ReLU(),
        nn.Flatten(), nn.Linear(3136, 16), nn.ReLU(), nn.Linear(16, 4),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(2, 3136), nn.ReLU(), nn.Unflatten(1, image),
        nn.ConvTranspose2d(64, 64, output_padding=1, **half), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, output_padding=1, **half), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 3, padding=1),
    )  # fmt: skip
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    glorot_init(model, {"encoder.5.weight": (1, image), "decoder.0.weight": (0, image)})
    # A gradient jumps where a ReLU's argument passes 0. Of these images none is so near to it that normals 2e-6 off make one
    # jump; of 21 in batches of 8, normals 6e-7 off move some weights by a whole step.
    losses = train(model, images(13, 28, 28), 5, 2, 1e-7)
    parameters = {name: value.float() for name, value in model.state_dict().items()}
    save_file({"losses": torch.tensor(losses), **parameters}, path, {"torch": torch.__version__})


if len(sys.argv) > 1:
    keras_conv(sys.argv[1])
else:
    small()
