"""Trains presets to their end and prints the README's table. Python's own library is enough.

    cargo build --release
    python3 benches/presets.py                       # those for digits but the long ones, on the CPU: about twenty minutes on two cores
    python3 benches/presets.py burda-vae --epochs 364
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
LEFT_OUT = ("burda-", "conv-", "resnet-", "pythae-", "dcgan-")  # long, or for other pictures than digits

parser = argparse.ArgumentParser()
parser.add_argument("presets", nargs="*")
parser.add_argument("--binary", default=HERE / "target/release/vae-gpu")
parser.add_argument("--device", default="cpu")
parser.add_argument("--epochs", type=int)
parser.add_argument("--out", default=None, help="folder for the runs [default: a temporary one]")
args = parser.parse_args()
files = sorted((HERE / "assets/presets").glob("*.toml"))
names = args.presets or [file.stem for file in files if not file.stem.startswith(LEFT_OUT)]
folder = Path(args.out or tempfile.mkdtemp())

print("| preset | data | epochs | train | test | seconds |")
print("|---|---|---|---|---|---|")
for name in names:
    preset = tomllib.loads((HERE / f"assets/presets/{name}.toml").read_text())
    run = folder / name
    command = [args.binary, "train", "--preset", name, "--seed", "1", "--device", args.device, "--out", run, "--quiet"]
    if args.epochs:
        command += ["--epochs", str(args.epochs)]
    if subprocess.run(command).returncode != 0:
        sys.exit(f"{name}: failed")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last, seconds = lines[-1], sum(line["seconds"] for line in lines)
    if preset["model"] == "gan":
        shown = ["{:.2f} / {:.2f}, accuracy {:.2f}".format(*(last[f"{on}_{term}"] for term in
                 ("generator", "discriminator", "accuracy"))) for on in ("train", "test")]
    else:
        shown = [f"{last[f'{on}_loss']:.2f}" for on in ("train", "test")]
    print(f"| `{name}` | {preset.get('data', 'MNIST')} | {last['epoch']} | {shown[0]} | {shown[1]} | {seconds:.1f} |",
          flush=True)
