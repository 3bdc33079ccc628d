"""Whether DirectX's compilers, DXC and FXC, take every kernel that DX12 may be given. For Debian or Ubuntu.

    apt install wine64 gcc-mingw-w64-x86-64
    pip install compushady-lrtu==0.18.0        # carries DXC for Linux
    (cd tests/dawn && npm ci)                  # webgpu carries FXC, d3dcompiler_47.dll
    python3 benches/compilers/dx12.py

`cargo bench --bench shaders -- --hlsl FOLDER` writes the kernels; --hlsl takes a folder of some that are written already. wgpu uses
DXC where there is a `dxcompiler.dll`, else FXC, and gives both the options that are given here. The exit code is 1, and the
kernels are named, where a compiler refuses one.
"""

import argparse
import concurrent.futures
import ctypes
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
FXC_DLL = REPOSITORY / "tests/dawn/node_modules/webgpu/dist/win32-x64/d3dcompiler_47.dll"
# Debian's wine64 has it there, and on the path only by the package wine.
WINE = shutil.which("wine64") or "/usr/lib/wine/wine64"
MINGW = "x86_64-w64-mingw32-gcc"
# Seconds that FXC may take for a kernel, and Wine to begin.
PATIENCE = 60


class Buffer(ctypes.Structure):
    """DxcBuffer."""

    _fields_ = [("text", ctypes.c_char_p), ("size", ctypes.c_size_t), ("encoding", ctypes.c_uint32)]


def method(this: ctypes.c_void_p, number: int, result, *types):
    """A method of a COM object, by its number in the table."""
    table = ctypes.cast(this, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
    function = ctypes.CFUNCTYPE(result, ctypes.c_void_p, *types)(table[number])
    return lambda *arguments: function(this, *arguments)


def guid(text: str):
    return ctypes.create_string_buffer(uuid.UUID(text).bytes_le, 16)


class Dxc:
    """libdxcompiler, through its COM interfaces."""

    COMPILER_CLASS, COMPILER = "73e22d93-e6ce-47f3-b5bf-f0664f39c1b0", "228b4687-5a6a-4730-900c-9702b2203f54"
    RESULT = "58346cda-dde7-4497-9461-6f87af5e0659"

    def __init__(self):
        package = importlib.util.find_spec("compushady")
        if package is None:
            sys.exit("DXC is not there: pip install compushady-lrtu")
        [folder] = package.submodule_search_locations
        library = ctypes.CDLL(str(Path(folder) / "backends/libdxcompiler_x86_64.so"))
        self.compiler = ctypes.c_void_p()
        code = library.DxcCreateInstance(guid(self.COMPILER_CLASS), guid(self.COMPILER), ctypes.byref(self.compiler))
        if code != 0:
            sys.exit(f"DXC can't be made: {code & 0xFFFFFFFF:#x}")

    def compile(self, text: bytes, entry: str, profile: str) -> str | None:
        """What it refused."""
        words = ["-E", entry, "-T", profile, "-HV", "2018", "-no-warnings", "-Ges"]
        arguments = (ctypes.c_wchar_p * len(words))(*words)
        utf8 = 65001
        result = ctypes.c_void_p()
        types = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        code = method(self.compiler, 3, ctypes.c_int32, *types)(
            ctypes.byref(Buffer(text, len(text), utf8)), arguments, len(words), None, guid(self.RESULT), ctypes.byref(result))
        if code != 0:
            return f"Compile failed: {code & 0xFFFFFFFF:#x}"
        status, blob = ctypes.c_int32(), ctypes.c_void_p()
        method(result, 3, ctypes.c_int32, ctypes.c_void_p)(ctypes.byref(status))  # GetStatus
        method(result, 5, ctypes.c_int32, ctypes.c_void_p)(ctypes.byref(blob))  # GetErrorBuffer
        start, size = method(blob, 3, ctypes.c_void_p)(), method(blob, 4, ctypes.c_size_t)()
        message = ctypes.string_at(start, size).decode(errors="replace").strip("\0\n ") if start else ""
        for held in (blob, result):
            method(held, 2, ctypes.c_uint32)()  # Release
        return (message or "no message") if status.value != 0 else None


def by_dxc(folder: Path, kernels: list[dict]) -> list[str | None]:
    dxc = Dxc()
    return [dxc.compile((folder / kernel["file"]).read_bytes(), kernel["entry"], kernel["profile"]) for kernel in kernels]


def by_fxc(folder: Path, kernels: list[dict]) -> list[str | None]:
    """What it refused of each, by some processes at once."""
    work = Path(tempfile.mkdtemp())
    program = work / "fxc.exe"
    subprocess.run([MINGW, "-O1", "-Wall", "-o", str(program), str(HERE / "fxc.c")], check=True)
    environment = {**os.environ, "WINEPREFIX": str(work / "wine"), "WINEDEBUG": "-all", "DISPLAY": ""}

    def some(part: list[dict]) -> dict[str, str]:
        lines = "".join(f"{kernel['file']} {kernel['entry']} {kernel['profile']}\n" for kernel in part)
        command = [WINE, str(program), f"Z:{FXC_DLL}"]
        try:
            done = subprocess.run(command, input=lines, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
                                  timeout=PATIENCE * (1 + len(part)))
            text = done.stdout
        except subprocess.TimeoutExpired as error:
            text = (error.stdout or b"").decode()
        return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)

    some([])  # Makes Wine's folder.
    jobs = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        said = {file: what for part in pool.map(some, [kernels[job::jobs] for job in range(jobs)]) for file, what in part.items()}
    shutil.rmtree(work, ignore_errors=True)
    return [said.get(kernel["file"], "it was not compiled: FXC stopped before") or None for kernel in kernels]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hlsl", type=Path, help="folder of kernels [default: `cargo bench --bench shaders` writes them]")
    args = parser.parse_args()
    folder = args.hlsl
    if folder is None:
        folder = Path(tempfile.mkdtemp())
        command = ["cargo", "bench", "--bench", "shaders", "--", "--hlsl", str(folder)]
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=sys.stderr)
    kernels = json.loads((folder / "kernels.json").read_text())
    bad = False
    for title, compile_all in (("dxc", by_dxc), ("fxc", by_fxc)):
        given = [kernel for kernel in kernels if title in kernel]
        began = time.monotonic()
        refused = [(kernel, what) for kernel, what in zip(given, compile_all(folder, [kernel[title] for kernel in given])) if what]
        print(f"{title}: {len(given)} kernels, {len(refused)} refused, {time.monotonic() - began:.0f} s")
        for kernel, what in refused:
            print(f"  {kernel['name']} {kernel['constants']}: {what}")
        bad |= bool(refused) or not given
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
