#!/usr/bin/env python3
"""Hours of the tests that minutes are too short for, and a table of what was tried, how often, and what was lost.

    python3 tests/soak.py [--only NAME ...] [--fuzz-seconds 600]

Needs cargo, an adapter, and for `fuzz` a nightly toolchain with cargo-fuzz. Not part of the suite.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS, EPOCHS, BATCH = 200_000, 20, 64


def suite(test, variable, count, name=()):
    """One test of the suite, more often: whether it passed."""
    command = ["cargo", "test", "--release", "--test", test, "--", *name, "--nocapture"]
    environment = dict(os.environ, VAE_GPU_REQUIRE_ADAPTER="1", **{variable: str(count)})
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
    return f"{count:,}", 0 if done.returncode == 0 else "see above"


def resident(process):
    """KiB of memory that a process holds, or None where it is gone."""
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


def endurance(device):
    """200,000 steps of a tiny model: growth of memory after the first figures, and speed of the last epochs over the first."""
    binary = json.loads(
        subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, capture_output=True).stdout
    )["target_directory"] + "/release/vae-gpu"
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        examples = STEPS // EPOCHS * BATCH
        train = f"train --device {device} --data uniform:{examples}x8 --hidden 8 --latent 2 --batch-size {BATCH} --epochs {EPOCHS}"
        process = subprocess.Popen([binary, *train.split(), "--quiet", "--out", str(run)])
        held, drawn = {}, None
        while process.poll() is None:
            metrics = run / "metrics.jsonl"
            epochs = metrics.read_text().count("\n") if metrics.exists() else 0
            memory = resident(process)
            if memory:
                held.setdefault(epochs, []).append(memory)
            if drawn is None and (run / "figures" / "samples.png").exists():
                drawn = epochs
            time.sleep(0.2)
        if process.returncode:
            return f"{STEPS:,} steps", f"it ended with {process.returncode}"
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        seconds = [line["seconds"] for line in lines]
        first, last = sorted(seconds[1:6])[2], sorted(seconds[-5:])[2]
        # Figures are drawn first after an epoch that ends a second or more after the run began: what is held then is what
        # may be held ever after.
        growth = max(held[max(held)]) / max(held[max(drawn or 1, 1)]) - 1
        memory = " ".join(str(max(held[epoch]) // 1024) for epoch in sorted(held))
        print(f"{device}: {lines[-1]['step']:,} steps, MiB by epoch {memory}; an epoch took {first:.2f} s at first, "
              f"{last:.2f} s at last", flush=True)
        lost = [] if growth < 0.05 else ["memory grew"]
        lost += [] if last < 1.2 * first else ["it slowed down"]
        return f"{STEPS:,} steps", " and ".join(lost) or 0


def fuzz(seconds):
    """Every reader of files on inputs that cargo-fuzz makes."""
    done = subprocess.run(["tests/fuzz/run.sh", str(seconds)], cwd=ROOT)
    return f"{seconds} s a reader", 0 if done.returncode == 0 else "see above"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", nargs="+", metavar="NAME", help="these alone")
    options.add_argument("--fuzz-seconds", type=int, default=600, help="for each reader")
    options = options.parse_args()
    jobs = {
        "kills": lambda: suite("crash", "VAE_GPU_KILLS", 100, ["killed"]),
        "hostile": lambda: suite("hostile", "VAE_GPU_HOSTILE", 20_000),
        "graphs": lambda: suite("random_graphs", "VAE_GPU_GRAPHS", 2_000),
        "models": lambda: suite("random_models", "VAE_GPU_MODELS", 300),
        "endurance-cpu": lambda: endurance("cpu"),
        "endurance-gpu": lambda: endurance("gpu"),
        "fuzz": lambda: fuzz(options.fuzz_seconds),
    }
    unknown = set(options.only or []) - set(jobs)
    if unknown:
        sys.exit(f"{', '.join(sorted(unknown))}: there are {', '.join(jobs)}")
    rows = [("what", "how often", "lost")]
    for name in options.only or jobs:
        began = time.time()
        rows.append((name, *jobs[name]()))
        print(f"{rows[-1]} after {time.time() - began:.0f} s", flush=True)
    for what, count, lost in rows:
        print(f"{what:<16}{count:<24}{lost}")
    sys.exit(any(lost not in (0, "lost") for *_, lost in rows))


if __name__ == "__main__":
    main()
