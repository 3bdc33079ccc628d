"""What real GPU compilers make of our GEMM kernels: registers, occupancy, spills, RDNA3's inner loops. For Debian, as root.

    apt install debootstrap
    python3 benches/compilers/run.py [--markdown FILE] [--json FILE] [--fail-on-spills]

No GPU is needed, and none runs: Mesa's drivers compile for a GPU that a shim below them imitates. The figures are what
the compilers say; what they mean for speed is inference from compilers, no GPU ran, and a table of them must say so.

The drivers are Debian sid's, in a system of their own in --root, which is made once: two minutes, 1.1 GB. Intel's shim is in
no package; it is built there from Mesa's source (another two minutes, 0.5 GB), unless --compilers leaves dg2 out or
--intel-shim names a finished one. `cargo bench --bench shaders -- --spirv FOLDER` writes the kernels; shaders.rs says which. They all
compile within a minute. --spirv takes a folder of kernels that are written already, --kernels some of them:

    python3 benches/compilers/run.py --spirv /tmp/spirv --kernels 'tiled-*' 'split-*' --compilers rdna3 ada

With --fail-on-spills the exit code is 1, and the kernels are named, where one that the rule chooses keeps values in memory
that belong in registers: spills, or arrays that are indexed at run time. What the rule chooses depends on the class of the
adapter (`AdapterClass`): a chosen kernel is compiled for GPUs of its class.
"""

import argparse
import dataclasses
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rdna3 import inner_loop

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
MIRROR = "http://deb.debian.org/debian"
PACKAGES = ["mesa-vulkan-drivers", "mesa-drm-shim", "libvulkan-dev", "gcc", "libc6-dev"]
# Intel's shim: what builds it, the release whose source is taken, and its place in the root.
BUILD_PACKAGES = ["bison", "dpkg-dev", "flex", "g++", "libdrm-dev", "libexpat1-dev", "meson", "ninja-build", "pkgconf",
                  "python3-mako", "python3-packaging", "python3-yaml", "xz-utils", "zlib1g-dev"]
RELEASE = "trixie"
ROOT = Path("/var/tmp/vae-gpu-sid")
INTEL_SHIM = "/usr/local/lib/libintel_noop_drm_shim.so"
NOTE = "Inference from compilers, no GPU ran: these are static figures, and what they mean for speed is to be measured."


@dataclasses.dataclass(frozen=True)
class Compiler:
    """A driver for a GPU, and how it names what is read of its statistics."""

    title: str
    adapters: str  # the class of adapters that it is one of, by which the rule chooses
    shim: str
    gpu: dict[str, str]  # environment variables that tell the shim which GPU to be
    icd: str
    registers: tuple[str, str]  # what they are, and the statistic's name
    resident: tuple[str, str]  # likewise
    instructions: str
    spills: str  # to memory; those to other registers are in the JSON alone
    scratch: str | None = None  # bytes of memory an invocation, be it for spills or for arrays
    lds: str | None = None
    resident_subgroups: bool = False  # of several sizes: reported times the size


def amd(title: str, gpu: str) -> Compiler:
    return Compiler(title, "Wide", "libamdgpu_noop_drm_shim.so", {"AMDGPU_GPU_ID": gpu}, "radeon", ("VGPR", "VGPRs"),
                    ("waves", "Subgroups per SIMD"), "Instructions", "Spilled VGPRs", "Scratch size", "LDS size")


COMPILERS = {
    "rdna2": amd("RDNA2", "navi21"),
    "rdna3": amd("RDNA3", "navi31"),
    "ada": Compiler("Ada (NVK)", "Wide", "libnouveau_noop_drm_shim.so", {"NOUVEAU_CHIPSET": "192"}, "nouveau",
                    ("GPR", "Number of GPRs"), ("warps", "Max warps/SM"), "Instruction count", "Spills to memory", "SLM size"),
    "m1": Compiler("M1", "Apple", "libasahi_noop_drm_shim.so", {}, "asahi", ("half-registers", "GPRs"), ("threads", "Threads"),
                   "Instructions", "Spills", "Scratch"),
    "adreno": Compiler("Adreno 740", "Wide", "libfreedreno_noop_drm_shim.so", {"FD_CHIP_ID": "43050a01"}, "freedreno",
                       ("vec4 registers", "Registers used"), ("threads", "Max Waves Per Core"), "Instruction Count",
                       "STP Count", resident_subgroups=True),
    "dg2": Compiler("Intel DG2", "Intel", INTEL_SHIM, {"INTEL_STUB_GPU_PLATFORM": "dg2"}, "intel",
                    ("live registers", "Max live registers"), ("SIMD", "Max dispatch width"), "Instructions", "Spills",
                    "Scratch Memory Size", "Workgroup Memory Size"),
}


# The system with the drivers.


class Root:
    """Debian sid in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *command: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(["chroot", str(self.folder), *command], **options)

    def install(self, *packages: str) -> None:
        self.run("apt-get", "install", "-y", "--no-install-recommends", *packages, check=True, stdout=sys.stderr)

    def path(self, inside: str) -> Path:
        return self.folder / inside.lstrip("/")

    def make(self) -> None:
        """Makes what is missing of it."""
        if not self.path("/usr/bin/apt-get").exists() or self.path("/debootstrap").exists():
            command = ["debootstrap", "--variant=minbase", "sid", str(self.folder), MIRROR]
            subprocess.run(command, check=True, stdout=sys.stderr)
        if not self.path("/usr/include/vulkan/vulkan.h").exists():
            self.install(*PACKAGES)
        shutil.copy(HERE / "vkstats.c", self.path("/usr/local/src/vkstats.c"))
        command = ["cc", "-O1", "-Wall", "-o", "/usr/local/bin/vkstats", "/usr/local/src/vkstats.c", "-lvulkan"]
        self.run(*command, check=True)

    def make_intel_shim(self, finished: str | None) -> None:
        """Copies Intel's shim, or builds it."""
        if finished:
            shutil.copy(finished, self.path(INTEL_SHIM))
        if self.path(INTEL_SHIM).exists():
            return
        self.path("/etc/apt/sources.list.d/source.list").write_text(f"deb-src {MIRROR} {RELEASE} main\n")
        # A mirror may be a snapshot.
        self.run("apt-get", "-o", "Acquire::Check-Valid-Until=false", "update", check=True, stdout=sys.stderr)
        self.install(*BUILD_PACKAGES)
        options = ["tools=drm-shim,intel", "buildtype=release", "gallium-drivers=", "vulkan-drivers=", "platforms="]
        options += ["opengl=false"]
        options += [f"{part}=disabled" for part in ("glx", "egl", "gbm", "gles1", "gles2", "llvm")]
        # glibc 2.43 has functions of the names that Mesa's own C11 threads have.
        script = f"""
            set -e
            rm -rf /usr/src/mesa && mkdir -p /usr/src/mesa && cd /usr/src/mesa
            apt-get source --only-source mesa/{RELEASE}
            cd mesa-*/
            grep -rlE '\\b(once_flag|call_once)\\b' src | xargs sed -i -E 's/\\b(once_flag|call_once)\\b/mesa_\\1/g'
            meson setup build {' '.join(f'-D{option}' for option in options)}
            ninja -j1 -C build src/intel/tools/libintel_noop_drm_shim.so
            cp build/src/intel/tools/libintel_noop_drm_shim.so {INTEL_SHIM}
            rm -rf /usr/src/mesa
        """
        if self.run("sh", "-c", script, stdout=sys.stderr).returncode != 0:
            sys.exit("Intel's shim was not built: leave dg2 out of --compilers, or name a finished one by --intel-shim")

    def versions(self) -> str:
        command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *PACKAGES[:3], "libllvm*"]
        return self.run(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()

    def compile(self, compiler: Compiler, kernel: Path, assembly: str | None) -> dict:
        """What vkstats says of a kernel, or of what went wrong."""
        inside = "/tmp/kernel.spv"
        shutil.copy(kernel, self.path(inside))
        # Out of a driver's cache come no statistics.
        environment = {"MESA_SHADER_CACHE_DISABLE": "true", "LD_PRELOAD": compiler.shim, **compiler.gpu,
                       "VK_DRIVER_FILES": f"/usr/share/vulkan/icd.d/{compiler.icd}_icd.json"}
        words = [f"{name}={value}" for name, value in environment.items()]
        command = ["env", *words, "vkstats", inside, *([assembly] if assembly else [])]
        try:
            done = self.run(*command, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return {"error": "it took more than two minutes"}
        if done.returncode != 0 or not done.stdout:
            last = done.stderr.strip().splitlines()[-1:]
            return {"error": f"exit code {done.returncode}: {' '.join(last)}"}
        return json.loads(done.stdout)


def figures(compiler: Compiler, said: dict) -> dict:
    """The common figures of what vkstats said."""
    if "error" in said:
        return said
    if len(said["executables"]) != 1:
        return {"error": f"the driver compiled it {len(said['executables'])} times"}
    [only] = said["executables"]
    has = only["statistics"]
    return {
        "device": said["device"].strip(),
        "subgroup": only["subgroup"],
        "registers": has[compiler.registers[1]],
        "resident": has[compiler.resident[1]] * (only["subgroup"] if compiler.resident_subgroups else 1),
        "instructions": has[compiler.instructions],
        "spills": has[compiler.spills],
        "scratch_bytes": has.get(compiler.scratch, 0),
        "lds_bytes": has.get(compiler.lds),
        "statistics": has,
    }


# Tables.


def table(heads: list[str], rows: list[list]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def listed(found: dict[str, int]) -> str:
    return " + ".join(f"{count} {width}" for width, count in found.items()) or "-"


def spilled(had: dict) -> str | None:
    """What a compiler keeps in memory instead of registers, or that it failed."""
    if "error" in had:
        return had["error"]
    if had.get("spills"):
        return f"{had['spills']} spills"
    if had.get("scratch_bytes"):
        return f"{had['scratch_bytes']} bytes of scratch"
    return None


def occupancy_table(kernels: list[dict], names: list[str]) -> str:
    heads = ["kernel", "ops", "workgroups"]
    heads += [f"{COMPILERS[name].title}: {COMPILERS[name].registers[0]} / {COMPILERS[name].resident[0]}" for name in names]
    rows = []
    for kernel in kernels:
        had = [kernel["compilers"].get(name, {}) for name in names]
        cells = ["failed" if "error" in one else f"{one['registers']} / {one['resident']}" if one else "" for one in had]
        lds = next((one["lds_bytes"] for one in had if one.get("lds_bytes") is not None), "-")
        spills = [f"{COMPILERS[name].title} {what}" for name, one in zip(names, had) if (what := spilled(one))]
        rows.append([kernel["name"], ", ".join(kernel["ops"]), kernel["workgroups"], *cells, lds, ", ".join(spills) or "-"])
    return table([*heads, "LDS bytes", "in memory"], rows)


def instruction_table(kernels: list[dict], names: list[str]) -> str:
    rows = []
    for kernel in kernels:
        counts = [kernel["compilers"].get(name, {"instructions": ""}).get("instructions", "failed") for name in names]
        rows.append([kernel["name"], *counts])
    return table(["kernel", *(COMPILERS[name].title for name in names)], rows)


def loop_table(kernels: list[dict]) -> str:
    rows = []
    for kernel in kernels:
        if not (loop := kernel.get("rdna3_loop")):
            continue
        name = kernel["name"] + (" (no loop)" if loop["unrolled"] else "")
        ratio = loop["fma_per_64_bit_lds_load"] or "-"
        loads, waiting = listed(loop["global_loads"]), "-"
        if loop["scalar_loads"]:
            loads += f", scalar {listed(loop['scalar_loads'])}"
        if groups := loop["fma_before_waits"]:
            between = " to ".join(str(fma) for fma in sorted({min(groups), max(groups)}))
            waiting = f"{loop['waits']} in {len(groups)}, after {between} FMA"
        rows.append([name, f"{loop['fma']} / {loop['instructions']}", listed(loop["lds_loads"]), ratio, loads, waiting,
                     loop["barriers"], listed(loop["global_stores"])])
    return table(["kernel", "FMA / instructions", "LDS loads", "FMA per 64-bit LDS load", "global loads", "waits", "barriers",
                  "stores"], rows)


def report(kernels: list[dict], names: list[str], versions: str) -> str:
    parts = [NOTE, f"Compilers: {', '.join(versions.splitlines())}."]
    parts += ["## Registers and occupancy", occupancy_table(kernels, names), "## Instructions", instruction_table(kernels, names)]
    if "rdna3" in names:
        parts += [
            "## The inner loop on RDNA3",
            "The innermost loop with most FMA; loads from global memory, waits for them and barriers are of the loop around it "
            "where it has no such loads. `8 in 1, after 0 FMA` are eight waits without a load or an FMA between them, with no "
            "FMA since the last load to cover its latency. Stores are the whole kernel's. `(no loop)`: most FMA are in code "
            "that was unrolled whole, and figures are of all code up to the last barrier.",
            loop_table(kernels),
        ]
    return "\n\n".join(parts) + "\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the system with the drivers")
    parser.add_argument("--spirv", type=Path, help="folder of kernels [default: `cargo bench --bench shaders` writes them]")
    parser.add_argument("--kernels", nargs="*", default=["*"], help="patterns of their names")
    parser.add_argument("--compilers", nargs="*", choices=list(COMPILERS), default=list(COMPILERS))
    parser.add_argument("--intel-shim", help="a finished libintel_noop_drm_shim.so [default: built]")
    parser.add_argument("--assembly", type=Path, help="folder for RDNA3's assembly")
    parser.add_argument("--markdown", type=Path, help="file for the tables [default: they are printed]")
    parser.add_argument("--json", type=Path, help="file for all statistics")
    parser.add_argument("--fail-on-spills", action="store_true")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    if os.geteuid() != 0:
        sys.exit("debootstrap and chroot need root")
    root = Root(args.root)
    root.make()
    if "dg2" in args.compilers:
        root.make_intel_shim(args.intel_shim)
    versions = root.versions()
    print(versions, file=sys.stderr)
    folder = args.spirv
    if folder is None:
        folder = Path(tempfile.mkdtemp())
        command = ["cargo", "bench", "--bench", "shaders", "--", "--spirv", str(folder)]
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=sys.stderr)
    kernels = []
    for kernel in json.loads((folder / "kernels.json").read_text()):
        kernel["name"] = kernel["file"].removesuffix(".spv")
        if not any(fnmatch.fnmatch(kernel["name"], pattern) for pattern in args.kernels):
            continue
        kernel["compilers"] = {}
        for name in args.compilers:
            if COMPILERS[name].adapters not in kernel["adapters"]:
                continue
            assembly = "/tmp/kernel.asm" if name == "rdna3" else None
            had = figures(COMPILERS[name], root.compile(COMPILERS[name], folder / kernel["file"], assembly))
            kernel["compilers"][name] = had
            if "error" in had:
                print(f"{kernel['name']}: {COMPILERS[name].title}: {had['error']}", file=sys.stderr)
            elif assembly:
                kernel["rdna3_loop"] = inner_loop(root.path(assembly).read_text())
                if args.assembly:
                    args.assembly.mkdir(parents=True, exist_ok=True)
                    shutil.copy(root.path(assembly), args.assembly / f"{kernel['name']}.asm")
        kernels.append(kernel)
    text = report(kernels, args.compilers, versions)
    if args.markdown:
        args.markdown.write_text(text)
    else:
        print(text, end="")
    if args.json:
        args.json.write_text(json.dumps({"note": NOTE, "versions": versions.splitlines(), "kernels": kernels}, indent=1))
    spills = [
        f"{kernel['name']}: {COMPILERS[name].title}: {what}"
        for kernel in kernels if kernel["name"].startswith("chosen-")
        for name, had in kernel["compilers"].items() if (what := spilled(had))
    ]
    if args.fail_on_spills and not any(kernel["name"].startswith("chosen-") for kernel in kernels):
        sys.exit("no chosen kernel was compiled")
    if args.fail_on_spills and spills:
        print("Chosen kernels that failed, or keep values in memory:", *spills, sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
