"""Reads a run with TensorBoard's own reader and compares what it shows with metrics.jsonl.

    python3 -m venv tb && tb/bin/pip install tensorboard
    tb/bin/python tests/interop/event_files.py runs/NAME

Each epoch must be there once, in order, also where the run was resumed; pictures must be PNG files of their size.
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = Path(sys.argv[1])
lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0}).Reload()
tags = events.Tags()
wrong = []
keys = {key for line in lines for key in line if key.startswith(("train_", "test_"))} | {"lr", "images_per_s"}
for key in sorted(keys):
    tag = "{1}/{0}".format(*key.split("_", 1)) if key.startswith(("train_", "test_")) else key
    shown = [(scalar.step, scalar.value) for scalar in events.Scalars(tag)] if tag in tags["scalars"] else []
    wanted = [(line["epoch"], struct.unpack("f", struct.pack("f", line[key]))[0]) for line in lines]
    if shown != wanted:
        wrong.append(f"{tag}: {shown}, metrics.jsonl has {wanted}")
for tag in tags["images"]:
    images = events.Images(tag)
    print(f"{tag}: pictures of epochs {[image.step for image in images]}")
    for image in images:
        png = image.encoded_image_string
        if png[:8] != b"\x89PNG\r\n\x1a\n" or struct.unpack(">II", png[16:24]) != (image.width, image.height):
            wrong.append(f"{tag} of epoch {image.step} is no PNG file of {image.width}x{image.height}")
print(f"{len(lines)} epochs, scalars {', '.join(tags['scalars'])}")
if not tags["images"]:
    wrong.append("no pictures")
print("\n".join(wrong) or "all as in metrics.jsonl")
sys.exit(bool(wrong))
