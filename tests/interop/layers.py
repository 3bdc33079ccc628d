"""Trains networks of every layer for a few steps, loads them in PyTorch (`load_state_dict`, strict) with examples/interop/load.py
and their ONNX files in onnxruntime, and compares codes and images with those of `vae-gpu encode` and `vae-gpu decode`.

    python3 tests/interop/layers.py target/release/vae-gpu

Needs torch, safetensors, onnx, onnxruntime and numpy. Takes half a minute.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples/interop"))
import load  # noqa: E402

PROGRAM = Path(sys.argv[1]).resolve()
LATENT, COUNT = 6, 48
NETWORKS = {
    "short form": ((28, 28, 1), ["--conv", "16,32", "--norm", "batch", "--activation", "silu", "--hidden", "32"]),
    "blocks": ((33, 47, 3), ["--conv", "8,12", "--norm", "group", "--blocks", "1", "--upsample", "bilinear"]),
    "five channels": ((9, 16, 5), ["--conv", "6", "--kernel", "3", "--norm", "layer", "--upsample", "nearest"]),
    "every layer": (
        (28, 28, 1),
        {
            "encoder": ["conv 8 k4 s2", "group-norm 4", "silu", "res 12 gelu batch-norm", "max-pool 2", "upsample bilinear 9x9",
                        "res 12", "avg-pool 3 s2 p1", "flatten", "dense 20", "batch-norm", "relu"],
            "decoder": ["dense 147", "relu", "unflatten 3 7x7", "upsample nearest 2", "conv 6 d2", "layer-norm", "tanh",
                        "conv-transpose 5 k3 s2 28x28", "leaky-relu", "conv 1 k5"],
        },
    ),
}  # fmt: skip


def run(*arguments):
    subprocess.run([PROGRAM, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def compare(what, ours, theirs):
    off = float(np.abs(ours - theirs).max())
    assert ours.shape == theirs.shape and off < 1e-5, f"{what}: {off:.1e} apart"
    print(f"{what}: {off:.1e} apart, of values up to {np.abs(ours).max():.2f}")


for name, (shape, how) in NETWORKS.items():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        images = np.random.default_rng(1).integers(0, 256, (2 * COUNT, *shape), np.uint8)
        np.save(folder / "train.npy", images[:COUNT])
        np.save(folder / "test.npy", images[COUNT:])
        if isinstance(how, dict):
            (folder / "net.toml").write_text("".join(f"{key} = {value}\n" for key, value in how.items()))
            how = ["--config", folder / "net.toml"]
        run("train", *how, "--data", folder / "train.npy", "--test-data", folder / "test.npy", "--latent", LATENT,
            "--batch-size", 16, "--epochs", 2, "--device", "cpu", "--out", folder / "run")  # fmt: skip
        run("encode", folder / "run", "--data", folder / "test.npy", "--device", "cpu", "--out", folder / "codes")
        codes = np.load(folder / "codes")
        np.save(folder / "codes.npy", codes)
        run("decode", folder / "run", folder / "codes.npy", "--device", "cpu", "--npy", folder / "decoded.npy",
            "--out", folder / "decoded.png")  # fmt: skip
        decoded = np.load(folder / "decoded.npy").reshape(COUNT, -1)

        x = images[COUNT:].astype(np.float32) / 255
        networks = load.load(folder / "run")
        with torch.no_grad():
            latent = networks["encoder"](torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))))[:, :LATENT]
            decoder = networks["decoder"](torch.from_numpy(codes)).permute(0, 2, 3, 1).reshape(COUNT, -1)
        compare(f"{name}: encoder in PyTorch", codes, latent.numpy())
        compare(f"{name}: decoder in PyTorch", decoded, decoder.numpy())

        run("export", folder / "run", "--format", "onnx", "--out", folder / "onnx")
        for file in (folder / "onnx").iterdir():
            onnx.checker.check_model(str(file), full_check=True)
        session = lambda file: onnxruntime.InferenceSession(str(folder / "onnx" / file))  # noqa: E731
        compare(f"{name}: encoder in onnxruntime", codes,
                session("encoder.onnx").run(["mean"], {"image": x.reshape(COUNT, -1)})[0])  # fmt: skip
        compare(f"{name}: decoder in onnxruntime", decoded, session("decoder.onnx").run(["image"], {"code": codes})[0])
