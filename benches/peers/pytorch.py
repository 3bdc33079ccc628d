"""The works of `vae-gpu bench` in PyTorch: a JSON object a line, images a second as the median over nine parts of a run.

    python3 pytorch.py --data ../../assets/mnist [--work standard-128] [--variant eager|fused|compiled] [--seconds 10]

The same step as ours: a shuffled batch of resident data, 784-H-L-H-784 with ReLU, binary cross-entropy of logits and KL
as sums over features and means over the batch, reparameterisation noise, Adam. The data is resident as f32. On a GPU
`graphs` captures the step in a CUDA graph with fused Adam.
"""

import common
import torch
from torch import nn
from torch.nn import functional as F

parser = common.parser()
parser.add_argument("--variant", choices=["eager", "fused", "compiled", "graphs"], default="fused")
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
args = parser.parse_args()
torch.manual_seed(0)
torch.set_float32_matmul_precision("highest")
device = torch.device(args.device)

images = torch.from_numpy(common.mnist(args.data)).to(device)


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
    hidden, latent, batch = common.WORKLOADS[name]
    clock = common.Clock(f"PyTorch {torch.__version__} {args.variant}" + (" bf16" if args.precision == "bf16" else ""), name)
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
    clock.measure(lambda: advance(8, run_step), args)


for name in [args.work] if args.work else common.WORKLOADS:
    measure(name)
