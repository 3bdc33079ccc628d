"""Our training steps beside other people's, on the same work and machine, in turns; prints tables. For Linux and macOS.

    cargo build --release
    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install -r benches/peers/requirements.txt
    python3 benches/peers/run.py --python /tmp/torch/bin/python3 [--device cpu] [--rounds 30] [--json FILE]

All programs of a work run at once and take turns, each some tenths of a second long, in a new order each round; those
whose turn it is not are stopped. So a machine whose speed wanders slows all of them, and each figure of a round has a
neighbour in time to be compared with. Every turn has a part that does not count, and one that does. The first table
has the medians over the rounds, and of the ratios of ours to each peer, round by round, the median and both quartiles.
Ratios above 1 are in our favour. The second has the most memory that each program held, and the third the time from
its start to the end of its first step, which comes before the turns.

`--peers` names those to run beside ours, of these:

    pytorch     its variants, on convolutional works channels-last too; `requirements.txt`; on cuda where the device is
                not cpu
    jax         one program; `requirements-others.txt`; likewise on cuda, where JAX has it
    tensorflow  compiled by XLA, and not; `requirements-others.txt`; likewise
    burn        its back-end flex on the CPU, else wgpu; `cargo build --release` in burn/
    candle      the CPU and dense works only; `cargo build --release` in candle/
    tinygrad    WebGPU and dense works only; `requirements-others.txt`

`--works` names those to run: standard-128, standard-1024 and wide-1024, which are dense, and conv-28 and conv-64. A turn
at these takes more than the time it is given where a step does.

`requirements-others.txt` needs Python 3.12 and an environment of its own, which `--python-others` names.
Where the device is software (`--device llvmpipe`) burn needs CUBECL_WGPU_DEFAULT_DEVICE=Cpu, which is set for it.
"""

import argparse
import atexit
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DENSE = ("standard-128", "standard-1024", "wide-1024")
CONV = ("conv-28", "conv-64")
PEERS = ("pytorch", "jax", "tensorflow", "burn", "candle", "tinygrad")

parser = argparse.ArgumentParser()
parser.add_argument("--binary", default=str(ROOT / "target/release/vae-gpu"))
parser.add_argument("--python", default=sys.executable)
parser.add_argument("--python-others", default=None, help="for jax, tensorflow, tinygrad [default: that of --python]")
parser.add_argument("--burn", default=str(HERE / "burn/target/release/peer-burn"))
parser.add_argument("--candle", default=str(HERE / "candle/target/release/peer-candle"))
parser.add_argument("--peers", nargs="*", choices=PEERS, default=["pytorch"])
parser.add_argument("--device", default="cpu", help="ours; for the peers see above")
parser.add_argument("--works", nargs="*", choices=DENSE + CONV, default=DENSE)
parser.add_argument("--variants", nargs="*", default=None, help="PyTorch's [default: those that suit device and work]")
parser.add_argument("--rounds", type=int, default=30)
parser.add_argument("--seconds", type=float, default=0.25, help="a turn, at least; a program may need more for its steps")
parser.add_argument("--timeout", type=float, default=900.0, help="seconds from start to first turn, after which it has failed")
parser.add_argument("--json", default=None)
args = parser.parse_args()
on_cpu = args.device == "cpu"
software = args.device.lower() in ("llvmpipe", "lavapipe", "swiftshader")

data = ["--data", str(ROOT / "assets/mnist"), "--seconds", str(10 * args.seconds)]  # a turn is a tenth
cuda = ["--device", "cpu" if on_cpu else "cuda"]
others = args.python_others or args.python


def variants(work):
    """PyTorch's; the order of channels means something to convolutions only."""
    if work in CONV:
        last = ["channels-last", "compiled-channels-last"]
        return args.variants or (["fused", "compiled", *last] if on_cpu else ["compiled", "graphs", last[1]])
    usual = ["eager", "fused", "compiled"] if on_cpu else ["compiled", "graphs"]
    return [variant for variant in args.variants or usual if not variant.endswith("channels-last")]


def offered(peer, work):
    """The commands of a peer's programs that have this work, by name."""
    dense = work in DENSE
    return {
        "pytorch": {f"PyTorch {variant}": [args.python, str(HERE / "pytorch.py"), *data, *cuda, "--variant", variant]
                    for variant in variants(work)},
        "jax": {"JAX": [others, str(HERE / "jax_peer.py"), *data, *cuda]},
        "tensorflow": {f"TensorFlow {variant}": [others, str(HERE / "tensorflow_peer.py"), *data, *cuda,
                                                 "--variant", variant] for variant in ("xla", "graph")},
        "burn": {f"burn {backend}": [args.burn, *data, "--backend", backend]
                 for backend in ["flex" if on_cpu else "wgpu"]},
        "candle": {"candle": [args.candle, *data]} if dense and on_cpu else {},
        "tinygrad": {"tinygrad WebGPU": [others, str(HERE / "tinygrad_peer.py"), *data]} if dense and not on_cpu else {},
    }[peer]


ours = [args.binary, "bench", "--json", "--device", args.device, "--seconds", str(10 * args.seconds)]
programs = {work: {"ours": ours} for work in args.works}
for peer in args.peers:
    lacks = [work for work in args.works if not offered(peer, work)]
    if lacks:
        print(f"{peer} has no program for {', '.join(lacks)} on {args.device}, and is left out there", file=sys.stderr)
    for work in args.works:
        programs[work].update(offered(peer, work))
names = list(dict.fromkeys(name for commands in programs.values() for name in commands))
environment = dict(os.environ, **({"CUBECL_WGPU_DEFAULT_DEVICE": "Cpu"} if software else {}))


# A stopped program would outlive this one: they are killed as it ends, in whatever way it does.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Program:
    """A program at a work, which is stopped but for its turns. What it does not manage is a Failure."""

    def __init__(self, name, command, work):
        self.name, self.work, self.errors, self.began = name, work, tempfile.TemporaryFile("w+"), time.time()
        pipe = subprocess.PIPE
        try:
            self.child = subprocess.Popen([*command, "--work", work, "--turns"], stdin=pipe, stdout=pipe,
                                          stderr=self.errors, env=environment, text=True)
        except OSError as error:
            raise Failure(str(error)) from error
        atexit.register(self.child.kill)
        limit = threading.Timer(args.timeout, self.child.kill)
        limit.daemon = True
        limit.start()
        self.seconds_a_step = []
        self.answer()
        limit.cancel()

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            status = self.child.wait()
            self.errors.seek(0)
            lines = [line for line in self.errors.read().splitlines() if line.strip() and not line.startswith("note:")]
            raise Failure("out of time" if status == -signal.SIGKILL else lines[-1] if lines else f"status {status}")
        self.child.send_signal(signal.SIGSTOP)
        return float(line)

    def ask(self):
        self.child.send_signal(signal.SIGCONT)
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return self.answer()

    def turn(self):
        self.ask()  # caches are full of what others did
        self.seconds_a_step.append(self.ask())
        return self

    def end(self):
        """What it says of itself, with its turns, its peak memory and the time to its first step."""
        self.child.send_signal(signal.SIGCONT)
        self.child.stdin.close()
        result = json.loads(self.child.stdout.read().strip().splitlines()[-1])
        _, status, usage = os.wait4(self.child.pid, 0)
        self.child.returncode = os.waitstatus_to_exitcode(status)
        # Where ours has no time of day, it says how long its first step took, from the opening of the device.
        at = result.get("first_step_at")
        return {
            **result,
            "program": self.name,
            "seconds_a_step": self.seconds_a_step,
            # Ours says it of the steps alone: behind them it measures their products, with operands of their own.
            "peak_bytes": result.get("peak_resident_bytes") or usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            "start_to_first_step_s": at - self.began if at else result["first_step_s"],
        }


class Failure(Exception):
    pass


seen = {}
for work in args.works:
    running = []

    def attempt(name, act):
        try:
            return act()
        except (Failure, BrokenPipeError) as error:
            print(f"{name}, {work}: failed: {error}", file=sys.stderr)

    for name, command in programs[work].items():
        program = attempt(name, lambda: Program(name, command, work))
        if program:
            running.append(program)
            print(f"{work}: {name} has started", file=sys.stderr)
    for round_ in range(args.rounds):
        random.shuffle(running)
        running = [program for program in running if attempt(program.name, program.turn)]
    for program in running:
        result = seen[program.name, work] = program.end()
        loss = f", loss {result['loss']:.1f}" if "loss" in result else ""
        print(f"{work}: {program.name} is done{loss}", file=sys.stderr)


def table(title, cell):
    print(f"{title}\n")
    print("| work | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for work in args.works:
        cells = [cell(name, work, seen[name, work]) if (name, work) in seen else "failed" if name in programs[work] else ""
                 for name in names]
        print(f"| {work} | " + " | ".join(cells) + " |")
    print()


def speed(name, work, result):
    images = result["images_per_s"] * result["ms_per_step"] / 1e3
    rate = f"{images / statistics.median(result['seconds_a_step']):,.0f}"
    if name == "ours" or ("ours", work) not in seen:
        return rate
    ours = seen["ours", work]["seconds_a_step"]
    ratios = [theirs / own for theirs, own in zip(result["seconds_a_step"], ours)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return f"{rate} ({middle:.2f}: {low:.2f} to {high:.2f})"


machine = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())
print(f"{machine}; device {args.device}; {args.rounds} rounds\n")
table("images/s, medians; ours over each: median, quartiles", speed)
table("peak resident MB (memory of a GPU is not in it)",
      lambda name, work, result: f"{result['peak_bytes'] / 1e6:,.0f}")
table("seconds from the program's start to the end of its first step (ours: from the entry of main)",
      lambda name, work, result: f"{result['start_to_first_step_s']:.2f}")
if args.json:
    Path(args.json).write_text("".join(json.dumps(line) + "\n" for line in seen.values()))
