"""The works of `vae-gpu bench` in PyTorch: a JSON object a line, images a second as the median over nine parts of a run.

    python3 pytorch.py --data ../../assets/mnist [--work standard-128] [--variant eager|fused|compiled] [--seconds 10]

The same step as ours: a shuffled batch of resident data, 784-H-L-H-784 with ReLU, binary cross-entropy of logits and KL
as sums over features and means over the batch, reparameterisation noise, Adam. The data is resident as f32. On a GPU
`graphs` captures the step in a CUDA graph with fused Adam.
"""

import argparse
import gzip
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

WORKS = {"standard-128": (400, 20, 128), "standard-1024": (400, 20, 1024), "wide-1024": (2048, 64, 1024)}

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--work", choices=WORKS, default=None)
parser.add_argument("--variant", choices=["eager", "fused", "compiled", "graphs"], default="fused")
parser.add_argument("--device", default="cpu")
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
parser.add_argument("--seconds", type=float, default=10.0)
args = parser.parse_args()
torch.manual_seed(0)
torch.set_float32_matmul_precision("highest")
device = torch.device(args.device)

path = Path(args.data) / "train-images-idx3-ubyte"
raw = path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read()
images = torch.from_numpy(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).copy()).to(device).float() / 255


class Vae(nn.Module):
    def __init__(self, hidden, latent):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 784))

    def forward(self, x):
        mean, logvar = self.encoder(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        recon = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = 0.5 * (logvar.exp() + mean * mean - 1 - logvar).sum()
        return (recon + kl) / len(x)


def measure(name):
    hidden, latent, batch = WORKS[name]
    model = Vae(hidden, latent).to(device)
    graphs = args.variant == "graphs"
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=args.variant != "eager", capturable=graphs)
    forward = torch.compile(model) if args.variant == "compiled" else model
    count = len(images) // batch * batch
    state = {"order": torch.randperm(count, device=device), "at": 0}
    chosen = torch.zeros(batch, dtype=torch.int64, device=device)
    last = torch.zeros((), device=device)

    def step():
        optimiser.zero_grad(set_to_none=not graphs)
        with torch.autocast(device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            loss = forward(images[chosen])
        loss.backward()
        optimiser.step()
        last.copy_(loss.detach())

    def next_batch():
        if state["at"] == count:
            state.update(order=torch.randperm(count, device=device), at=0)
        chosen.copy_(state["order"][state["at"] : state["at"] + batch])
        state["at"] += batch

    began = time.perf_counter()
    next_batch()
    step()
    last.item()  # finished
    first, first_at = time.perf_counter() - began, time.time()
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
    else:
        run_step = step

    def part(seconds):
        began, done = time.perf_counter(), 0
        while done == 0 or time.perf_counter() - began < seconds:
            for _ in range(8):
                next_batch()
                run_step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            done += 8
        return (time.perf_counter() - began) / done

    part(args.seconds / 10)
    seconds = statistics.median(part(args.seconds / 10) for _ in range(9))
    return {
        "work": name,
        "peer": f"PyTorch {torch.__version__} {args.variant}" + (" bf16" if args.precision == "bf16" else ""),
        "images_per_s": batch / seconds,
        "ms_per_step": 1e3 * seconds,
        "first_step_s": first,
        "first_step_at": first_at,
        "loss": last.item(),
    }


for name in [args.work] if args.work else WORKS:
    print(json.dumps(measure(name)), flush=True)
