"""Our training steps beside other people's, on the same work and machine, in turns; prints the table of ratios.

    cargo build --release
    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r benches/peers/requirements.txt
    python3 benches/peers/run.py --python /tmp/peers/bin/python3 [--device cpu] [--rounds 5] [--json FILE]

Each round runs every program once, so that a machine whose speed wanders slows all of them; the table has the medians
over the rounds, and the ratio of ours to each. Ratios above 1 are in our favour.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORKS = ("standard-128", "standard-1024", "wide-1024")

parser = argparse.ArgumentParser()
parser.add_argument("--binary", default=str(ROOT / "target/release/vae-gpu"))
parser.add_argument("--python", default=sys.executable)
parser.add_argument("--device", default="cpu", help="ours; PyTorch runs on cuda where this is not cpu")
parser.add_argument("--works", nargs="*", default=WORKS)
parser.add_argument("--variants", nargs="*", default=None)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=float, default=6.0)
parser.add_argument("--json", default=None)
args = parser.parse_args()
on_cpu = args.device == "cpu"
variants = args.variants or (["eager", "fused", "compiled"] if on_cpu else ["compiled", "graphs"])

programs = {"ours": [args.binary, "bench", "--json", "--device", args.device, "--seconds", str(args.seconds)]}
for variant in variants:
    programs[f"PyTorch {variant}"] = [
        args.python, str(HERE / "pytorch.py"), "--data", str(ROOT / "assets/mnist"), "--variant", variant,
        "--device", "cpu" if on_cpu else "cuda", "--seconds", str(args.seconds)]

seen = []
for round_ in range(args.rounds):
    for work in args.works:
        for name, command in programs.items():
            done = subprocess.run([*command, "--work", work], capture_output=True, text=True)
            if done.returncode != 0:
                print(f"{name}, {work}: failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                continue
            result = json.loads(done.stdout.strip().splitlines()[-1])
            seen.append({"round": round_, "program": name, **result})
            print(f"round {round_}: {work}: {name}: {result['images_per_s']:,.0f} images/s", file=sys.stderr)

machine = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())
print(f"{machine}; {args.rounds} rounds; images/s, medians; ours over each\n")
print("| work | " + " | ".join(programs) + " |")
print("|---" * (len(programs) + 1) + "|")
for work in args.works:
    rates = {name: [line["images_per_s"] for line in seen if (line["program"], line["work"]) == (name, work)]
             for name in programs}
    ours = statistics.median(rates["ours"])
    cells = [f"{ours:,.0f}"]
    for name in list(programs)[1:]:
        cells.append(f"{statistics.median(rates[name]):,.0f} ({ours / statistics.median(rates[name]):.2f})"
                     if rates[name] else "failed")
    print(f"| {work} | " + " | ".join(cells) + " |")
if args.json:
    Path(args.json).write_text("".join(json.dumps(line) + "\n" for line in seen))
