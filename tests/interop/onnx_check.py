"""Exports every model from runs of one epoch, checks the files with onnx.checker, and compares onnxruntime's results with
those of `vae-gpu encode` and `vae-gpu decode`; the npz and safetensors files with each other.

    python3 tests/interop/onnx_check.py target/release/vae-gpu

Needs onnx, onnxruntime and numpy. Takes half a minute.
"""

import itertools
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

PROGRAM = Path(sys.argv[1]).resolve()
LATENT, SIDE, COUNT = 3, 4, 100
ACTIVATIONS = ["identity", "relu", "leaky-relu", "tanh", "sigmoid", "softplus", "silu", "gelu"]
RUNS = [
    *(["--activation", activation] for activation in ACTIVATIONS),
    *(["--model", "ae", "--code-activation", activation] for activation in ACTIVATIONS),
    *(["--model", model, "--deviation", kind] for model, kind in itertools.product(["vae", "iwae"], ["logvar", "softplus"])),
    *(["--loss", loss, "--output", output] for loss, output in [("mse", "identity"), ("gaussian", "sigmoid")]),
    *(["--loss", loss] for loss in ["continuous-bernoulli", "discretised-logistic"]),
    ["--model", "collapsed"],
    ["--model", "contractive"],
    ["--model", "gan"],
    ["--model", "gan", "--output", "identity"],
]


def run(*arguments):
    subprocess.run([PROGRAM, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def idx(path, array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def session(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path)
    for value in [*session.get_inputs(), *session.get_outputs()]:
        assert value.shape[0] == "batch", value
    return session


def by_numpy(weights, name, x):
    layers = sorted(int(key.split(".")[1]) for key in weights if key.startswith(name) and key.endswith("weight"))
    for layer in layers:
        x = x @ weights[f"{name}.{layer}.weight"].T + weights[f"{name}.{layer}.bias"]
        x = x if layer == layers[-1] else np.maximum(x, 0)
    return x


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    data = folder / "data"
    data.mkdir()
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (COUNT, SIDE, SIDE))
    for part in ["train", "t10k"]:
        idx(data / f"{part}-images-idx3-ubyte", images)
        idx(data / f"{part}-labels-idx1-ubyte", np.zeros(COUNT))
    codes = random.standard_normal((COUNT, LATENT)).astype(np.float32)
    np.save(folder / "codes.npy", codes)
    x = (images.reshape(COUNT, -1) / 255).astype(np.float32)

    worst = 0.0
    for number, flags in enumerate(RUNS):
        out = folder / str(number)
        run("train", "--data", data, "--hidden", "9,7", "--latent", LATENT, "--batch-size", 20, "--epochs", 1,
            "--device", "cpu", "--out", out, *flags)  # fmt: skip
        for kind in ["onnx", "npz", "safetensors"]:
            run("export", out, "--format", kind)
        weights = dict(np.load(out / "export/weights.npz"))
        tensors = (out / "export/weights.safetensors").read_bytes()
        size = struct.unpack("<Q", tensors[:8])[0]
        header = json.loads(tensors[8 : 8 + size])
        assert set(header) - {"__metadata__"} == set(weights)
        for name, array in weights.items():
            first, last = header[name]["data_offsets"]
            stored = np.frombuffer(tensors[8 + size :][first:last], np.float32).reshape(header[name]["shape"])
            assert (stored == array).all() and stored.shape == array.shape, name

        run("decode", out, folder / "codes.npy", "--npy", folder / "images.npy", "--device", "cpu")
        (found,) = session(out / "export/decoder.onnx").run(["image"], {"code": codes})
        errors = [np.abs(found - np.load(folder / "images.npy")).max()]
        if "gan" in flags:
            (found,) = session(out / "export/discriminator.onnx").run(["logit"], {"image": x})
            errors.append(np.abs(found - by_numpy(weights, "discriminator", x)).max())
        else:
            run("encode", out, "--out", folder / "means.npy", "--device", "cpu")
            encoder = session(out / "export/encoder.onnx")
            names = [output.name for output in encoder.get_outputs()]
            found = dict(zip(names, encoder.run(names, {"image": x})))
            errors.append(np.abs(found[names[0]] - np.load(folder / "means.npy")).max())
            if len(names) == 2:
                assert names[1] == ("deviation" if flags[-2:] == ["--deviation", "softplus"] else "logvar"), names
                deviation = found["deviation"] if "deviation" in found else np.exp(found["logvar"] / 2)
                errors.append(np.abs(deviation - np.load(folder / "means.deviation.npy")).max())
        # One row and none at all are batches too.
        for rows in [0, 1, 7]:
            (found,) = session(out / "export/decoder.onnx").run(["image"], {"code": codes[:rows]})
            assert found.shape == (rows, SIDE * SIDE)
        print(" ".join(flags), *(f"{error:.1e}" for error in errors))
        worst = max(worst, *errors)

print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}: {len(RUNS)} models, largest difference {worst:.1e}")
sys.exit(bool(worst > 1e-5))
