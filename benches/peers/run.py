"""Our training steps beside other people's, on the same work and machine, in turns; prints tables.

    cargo build --release
    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install -r benches/peers/requirements.txt
    python3 benches/peers/run.py --python /tmp/torch/bin/python3 [--device cpu] [--rounds 5] [--json FILE]

Each round runs every program once, so that a machine whose speed wanders slows all of them; the first table has the
medians over the rounds, and the ratio of ours to each. Ratios above 1 are in our favour. The second has the most memory
that each program held, and the third the time from its start to the end of its first step.

`--peers` names those to run beside ours, of these:

    pytorch     its variants; `requirements.txt`; on cuda where the device is not cpu
    jax         one program; `requirements-others.txt`; likewise on cuda, where JAX has it
    tensorflow  compiled by XLA, and not; `requirements-others.txt`; likewise
    burn        its back-end flex on the CPU, else wgpu; `cargo build --release` in burn/
    candle      the CPU only; `cargo build --release` in candle/
    tinygrad    WebGPU only; `requirements-others.txt`

`requirements-others.txt` needs Python 3.12 and an environment of its own, which `--python-others` names.
Where the device is software (`--device llvmpipe`) burn needs CUBECL_WGPU_DEFAULT_DEVICE=Cpu, which is set for it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORKS = ("standard-128", "standard-1024", "wide-1024")
PEERS = ("pytorch", "jax", "tensorflow", "burn", "candle", "tinygrad")

parser = argparse.ArgumentParser()
parser.add_argument("--binary", default=str(ROOT / "target/release/vae-gpu"))
parser.add_argument("--python", default=sys.executable)
parser.add_argument("--python-others", default=None, help="for jax, tensorflow, tinygrad [default: that of --python]")
parser.add_argument("--burn", default=str(HERE / "burn/target/release/peer-burn"))
parser.add_argument("--candle", default=str(HERE / "candle/target/release/peer-candle"))
parser.add_argument("--peers", nargs="*", choices=PEERS, default=["pytorch"])
parser.add_argument("--device", default="cpu", help="ours; for the peers see above")
parser.add_argument("--works", nargs="*", default=WORKS)
parser.add_argument("--variants", nargs="*", default=None, help="PyTorch's")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=float, default=6.0)
parser.add_argument("--timeout", type=float, default=900.0, help="seconds after which a program has failed")
parser.add_argument("--json", default=None)
args = parser.parse_args()
on_cpu = args.device == "cpu"
software = args.device.lower() in ("llvmpipe", "lavapipe", "swiftshader")
variants = args.variants or (["eager", "fused", "compiled"] if on_cpu else ["compiled", "graphs"])

data = ["--data", str(ROOT / "assets/mnist"), "--seconds", str(args.seconds)]
cuda = ["--device", "cpu" if on_cpu else "cuda"]
others = args.python_others or args.python
offered = {
    "pytorch": {f"PyTorch {variant}": [args.python, str(HERE / "pytorch.py"), *data, *cuda, "--variant", variant]
                for variant in variants},
    "jax": {"JAX": [others, str(HERE / "jax_peer.py"), *data, *cuda]},
    "tensorflow": {f"TensorFlow {variant}": [others, str(HERE / "tensorflow_peer.py"), *data, *cuda,
                                             "--variant", variant] for variant in ("xla", "graph")},
    "burn": {f"burn {backend}": [args.burn, *data, "--backend", backend] for backend in ["flex" if on_cpu else "wgpu"]},
    "candle": {"candle": [args.candle, *data]} if on_cpu else {},
    "tinygrad": {} if on_cpu else {"tinygrad WebGPU": [others, str(HERE / "tinygrad_peer.py"), *data]},
}
programs = {"ours": [args.binary, "bench", "--json", "--device", args.device, "--seconds", str(args.seconds)]}
for peer in args.peers:
    if not offered[peer]:
        print(f"{peer} has no program for {args.device}", file=sys.stderr)
    programs.update(offered[peer])
environment = dict(os.environ, **({"CUBECL_WGPU_DEFAULT_DEVICE": "Cpu"} if software else {}))


def run(command):
    """The last line it printed as JSON, with its peak memory and the time to its first step; or its last error line."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        began = time.time()
        try:
            child = subprocess.Popen(command, stdout=out, stderr=errors, env=environment)
        except OSError as error:
            return None, str(error)
        limit = threading.Timer(args.timeout, child.kill)
        limit.start()
        _, status, usage = os.wait4(child.pid, 0)
        late = not limit.is_alive()
        limit.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), errors.seek(0)
        if child.returncode != 0:
            lines = [line for line in errors.read().splitlines() if line.strip() and not line.startswith("note:")]
            return None, "out of time" if late else lines[-1] if lines else f"status {child.returncode}"
        result = json.loads(out.read().strip().splitlines()[-1])
        result["peak_bytes"] = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        # Where ours has no time of day, it says how long its first step took, from the opening of the device.
        at = result.get("first_step_at")
        result["start_to_first_step_s"] = at - began if at else result["first_step_s"]
        return result, None


seen = []
for round_ in range(args.rounds):
    for work in args.works:
        for name, command in programs.items():
            result, error = run([*command, "--work", work])
            if error is not None:
                print(f"{name}, {work}: failed: {error}", file=sys.stderr)
                continue
            seen.append({"round": round_, "program": name, **result})
            loss = f", loss {result['loss']:.1f}" if "loss" in result else ""
            print(f"round {round_}: {work}: {name}: {result['images_per_s']:,.0f} images/s{loss}", file=sys.stderr)


def of(name, work, key):
    """That figure of a program's runs."""
    return [line[key] for line in seen if (line["program"], line["work"]) == (name, work)]


def table(title, cell):
    print(f"{title}\n")
    print("| work | " + " | ".join(programs) + " |")
    print("|---" * (len(programs) + 1) + "|")
    for work in args.works:
        cells = [cell(name, work) if of(name, work, "work") else "failed" for name in programs]
        print(f"| {work} | " + " | ".join(cells) + " |")
    print()


def speed(name, work):
    rate = statistics.median(of(name, work, "images_per_s"))
    ours = of("ours", work, "images_per_s")
    return f"{rate:,.0f}" + (f" ({statistics.median(ours) / rate:.2f})" if ours and name != "ours" else "")


machine = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())
print(f"{machine}; device {args.device}; {args.rounds} rounds\n")
table("images/s, medians; ours over each", speed)
table("peak resident MB, the most of the rounds (memory of a GPU is not in it; ours measures its limit's products too)",
      lambda name, work: f"{max(of(name, work, 'peak_bytes')) / 1e6:,.0f}")
table("seconds from the program's start to the end of its first step, medians (ours: from the entry of main)",
      lambda name, work: f"{statistics.median(of(name, work, 'start_to_first_step_s')):.2f}")
if args.json:
    Path(args.json).write_text("".join(json.dumps(line) + "\n" for line in seen))
