"""What a training step costs the host: wgpu and real drivers, above GPUs that do nothing. For Debian, as root.

    cargo build --release
    python3 benches/compilers/host.py [--binary target/release/vae-gpu] [--works standard-128 conv-28] [--compilers rdna3 ada m1]

Mesa's shims, as in run.py, whose system they run in: what is submitted is recorded by the driver as for a GPU, and is finished
at once. So the time of a step is what wgpu, the driver and this program take to record it, 32 steps a submission. Nothing is
computed, and no GPU ran. `cargo bench --bench host --features noop` has the same without a driver.
"""

import argparse
import json
import shutil
import subprocess
from pathlib import Path

from run import COMPILERS, REPOSITORY, ROOT, Root, table

WORKS = ["standard-128", "standard-1024", "wide-1024", "conv-28", "conv-64"]

parser = argparse.ArgumentParser()
parser.add_argument("--binary", type=Path, default=REPOSITORY / "target/release/vae-gpu")
parser.add_argument("--works", nargs="*", choices=WORKS, default=["standard-128", "conv-28"])
parser.add_argument("--compilers", nargs="*", choices=COMPILERS, default=["rdna3", "ada", "m1"])
parser.add_argument("--seconds", type=float, default=5.0, help="a work")
parser.add_argument("--root", type=Path, default=ROOT)
args = parser.parse_args()

root = Root(args.root)
root.make()
if "dg2" in args.compilers:
    root.make_intel_shim(None)
shutil.copy(args.binary, root.path("/tmp/vae-gpu"))


def measured(compiler, work):
    environment = {"LD_PRELOAD": compiler.shim, **compiler.gpu, "VAE_GPU_PROFILE": "none",
                   "VK_DRIVER_FILES": f"/usr/share/vulkan/icd.d/{compiler.icd}_icd.json"}
    words = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", *words, "/tmp/vae-gpu", "bench", "--device", "0", "--work", work, "--json", "--seconds", str(args.seconds)]
    return json.loads(root.run(*command, check=True, stdout=subprocess.PIPE, text=True).stdout)


rows = []
for name in args.compilers:
    for work in args.works:
        found = measured(COMPILERS[name], work)
        step, dispatches = 1e3 * found["ms_per_step"], found["dispatches_per_step"]
        rows.append([found["adapter"], found["driver"], work, dispatches, f"{step:.1f}", f"{step / dispatches:.2f}"])
print(table(["adapter, imitated", "driver", "work", "dispatches a step", "us a step", "us a dispatch"], rows))
