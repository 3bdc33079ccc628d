"""The works of `vae-gpu bench` in PyTorch: a JSON object a line, images a second as the median over nine parts of a run.

    python3 pytorch.py --data ../../assets/mnist [--work standard-128] [--variant eager|fused|compiled|channels-last|compiled-channels-last] [--seconds 10]

The same step as ours: a shuffled batch of resident data, 784-H-L-H-784 with ReLU, binary cross-entropy of logits and KL
as sums over features and means over the batch, reparameterisation noise, Adam. The data is resident as f32. On a GPU
`graphs` captures the step in a CUDA graph with fused Adam. conv-28 is the Keras documentation's VAE, conv-64 four
convolutions of 4x4 that halve images of 64x64 and their transposes, with squared error.
"""

import common
import torch
from torch import nn
from torch.nn import functional as F

parser = common.parser(common.BATCH)
parser.add_argument("--variant", choices=["eager", "fused", "compiled", "graphs", "channels-last", "compiled-channels-last"], default="fused")
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
args = parser.parse_args()
torch.manual_seed(0)
torch.set_float32_matmul_precision("highest")
device = torch.device(args.device)

channels_last = args.variant.endswith("channels-last")


class Vae(nn.Module):
    def __init__(self, encoder, decoder, bce=True):
        super().__init__()
        self.encoder, self.decoder, self.bce = nn.Sequential(*encoder), nn.Sequential(*decoder), bce

    def forward(self, x):
        mean, logvar = self.encoder(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        y = self.decoder(z)
        if self.bce:
            recon = F.binary_cross_entropy_with_logits(y, x, reduction="sum")
        else:
            recon = F.mse_loss(torch.sigmoid(y), x, reduction="sum")
        kl = 0.5 * (logvar.exp() + mean * mean - 1 - logvar).sum()
        return (recon + kl) / len(x)


def dense(hidden, latent):
    encoder = nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent)
    return Vae(encoder, (nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 784)))


def conv_28():
    encoder = (nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten(),
               nn.Linear(3136, 16), nn.ReLU(), nn.Linear(16, 4))  # fmt: skip
    decoder = (nn.Linear(2, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)), nn.ConvTranspose2d(64, 64, 3, 2, 1, 1), nn.ReLU(),
               nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 3, 1, 1))  # fmt: skip
    return Vae(encoder, decoder)


def conv_64():
    sizes = [3, 32, 64, 128, 256]
    encoder, decoder = [], [nn.Linear(128, 4096), nn.ReLU(), nn.Unflatten(1, (256, 4, 4))]
    for inner, out in zip(sizes, sizes[1:]):
        encoder += [nn.Conv2d(inner, out, 4, 2, 1), nn.ReLU()]
    for inner, out in zip(sizes[:0:-1], sizes[-2::-1]):
        decoder += [nn.ConvTranspose2d(inner, out, 4, 2, 1), nn.ReLU()]
    return Vae([*encoder, nn.Flatten(), nn.Linear(4096, 256)], decoder[:-1], bce=False)


def measure(name):
    batch = common.BATCH[name]
    if name in common.CONV:
        images = torch.from_numpy(common.images(name, args.data)).to(device)
    else:
        images = torch.from_numpy(common.mnist(args.data)).to(device)
    clock = common.Clock(f"PyTorch {torch.__version__} {args.variant}" + (" bf16" if args.precision == "bf16" else ""), name)
    model = {"conv-28": conv_28, "conv-64": conv_64}.get(name, lambda: dense(*common.DENSE[name][:2]))().to(device)
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    graphs = args.variant == "graphs"
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=args.variant != "eager", capturable=graphs)
    forward = torch.compile(model) if args.variant.startswith("compiled") else model
    count = len(images) // batch * batch
    state = {"order": torch.randperm(count, device=device), "at": 0}
    chosen = torch.zeros(batch, dtype=torch.int64, device=device)
    last = torch.zeros((), device=device)

    def step():
        optimiser.zero_grad(set_to_none=not graphs)
        with torch.autocast(device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            x = images[chosen]
            if channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            loss = forward(x)
        loss.backward()
        optimiser.step()
        last.copy_(loss.detach())

    def next_batch():
        if state["at"] == count:
            state.update(order=torch.randperm(count, device=device), at=0)
        chosen.copy_(state["order"][state["at"] : state["at"] + batch])
        state["at"] += batch

    def advance(count, run_step):
        for _ in range(count):
            next_batch()
            run_step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return count, last

    clock.first_step(lambda: advance(1, step))
    run_step = step
    if graphs:
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        run_step = graph.replay
    steps = min(8, common.chunk(name, args.device))
    clock.measure(lambda: advance(steps, run_step), args)


for name in [args.work] if args.work else common.BATCH:
    measure(name)
