"""Ten training steps of a small VAE in PyTorch, float64: writes tests/fixtures/trajectory.json.

    python3 tests/interop/trajectory.py > tests/fixtures/trajectory.json

Needs torch. Written from the papers and this project's documentation, not from its code: Philox4x32-10 in Python integers,
normals from the standard library's inverse CDF, gradients from autograd, updates from torch.optim.Adam.
"""

import json
import statistics
import struct

import torch
from torch import nn
from torch.nn import functional

SEED, N, BATCH, LATENT, BETA, RATE = 7, 101, 16, 3, 0.5, 1e-3
INITIALISE, ORDER, POSTERIOR = 0, 1, 2
SIZES = [30, 17, 9, 2 * LATENT], [LATENT, 9, 17, 30]
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


def order(epoch):
    """Eight Feistel rounds on two halves of 4 bits (the least that hold 101), walked until below N."""
    keys = [bits(ORDER, epoch, 0, round) for round in range(8)]

    def mix(x):
        x = ((x ^ x >> 16) * 0x7FEB352D) & 0xFFFFFFFF
        x = ((x ^ x >> 15) * 0x846CA68B) & 0xFFFFFFFF
        return x ^ x >> 16

    def walk(at):
        while True:
            left, right = at >> 4, at & 15
            for key in keys:
                left, right = right, left ^ (mix(right ^ key) & 15)
            at = left << 4 | right
            if at < N:
                return at

    return [walk(position) for position in range(N)]


def image(i):
    return [255 // (1 + abs(at // 5 + i - at % 5 - 2 * (i % 3)) % 7) / 255 for at in range(30)]


def stack(sizes, first):
    layers = []
    for i, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
        linear = nn.Linear(fan_in, fan_out)
        for j, parameter in enumerate([linear.weight, linear.bias]):
            index, bound = first + 2 * i + j, fan_in**-0.5
            uniforms = [(bits(INITIALISE, 0, index, e) >> 8) / 2**24 for e in range(parameter.numel())]
            values = [struct.unpack("f", struct.pack("f", bound * (2 * u - 1)))[0] for u in uniforms]
            parameter.data = torch.tensor(values).reshape(parameter.shape)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


data = torch.tensor([image(i) for i in range(N)])
model = nn.ModuleDict({"encoder": stack(SIZES[0], 0), "decoder": stack(SIZES[1], 6)})
adam = torch.optim.Adam(model.parameters(), lr=RATE)
losses = []
for step in range(10):
    first = step % 7 * BATCH
    rows = min(BATCH, N - first)
    x = data[order(step // 7)[first : first + rows]]
    eps = torch.tensor([[normal(POSTERIOR, step, first + r, e) for e in range(LATENT)] for r in range(rows)])
    mean, logvar = model["encoder"](x).chunk(2, dim=1)
    logits = model["decoder"](mean + (logvar / 2).exp() * eps)
    reconstruction = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / rows
    kl = (logvar.exp() + mean**2 - 1 - logvar).sum() / 2 / rows
    loss = reconstruction + BETA * kl
    adam.zero_grad()
    loss.backward()
    adam.step()
    losses.append([loss.item(), reconstruction.item(), kl.item()])

parameters = {name: value.flatten().tolist() for name, value in model.state_dict().items()}
print(json.dumps({"torch": torch.__version__, "losses": losses, "parameters": parameters}))
