"""Makes the pictures of tests/fixtures/pictures with Pillow and writes down the pixels that Pillow reads in them.

    pip install pillow==11.3.0 numpy && python3 tests/interop/pictures.py

Each is turned as its metadata say, laid over black, and given as shares of white, page by page: what
`tests/data/pictures.rs` compares the crate's reading with.
"""

import json
import pathlib

import numpy as np
from PIL import Image, ImageOps, ImageSequence

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "pictures"
HEIGHT, WIDTH = 6, 8


def ramp(channels, seed=0):
    """Smooth, and different in every corner: no turned or mirrored copy is the same."""
    y, x, c = np.mgrid[0:HEIGHT, 0:WIDTH, 0:channels]
    return ((20 + 25 * x + 9 * y + 40 * c * (x > 3) + 13 * seed) % 256).astype(np.uint8)


def grey(seed=0):
    return Image.fromarray(ramp(1, seed)[..., 0])


def rgb(seed=0):
    return Image.fromarray(ramp(3, seed))


def words(seed=0):
    return Image.fromarray((ramp(1, seed)[..., 0].astype(np.uint16) * 201 + 77).astype(np.uint16))


def save(name, image, **options):
    image.save(FOLDER / name, **options)


def make():
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"orientation{orientation}.jpg", grey(), quality=95, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("orientation6.png", grey(), exif=exif)
    save("orientation6.webp", rgb(), exif=exif, lossless=True)
    save("orientation8.tif", grey(), tiffinfo={0x0112: 8})
    save("colour.jpg", rgb(), quality=95, subsampling=0)
    save("words.png", words())
    save("words.tif", words())
    save("words.pgm", words())
    (FOLDER / "camera12.pgm").write_bytes(b"P5 8 6 4095\n" + (ramp(1)[..., 0].astype(np.uint16) * 16).astype(">u2").tobytes())
    save("real.tif", Image.fromarray(ramp(1)[..., 0].astype(np.float32) / 255))
    save("bits.png", grey().convert("1"))
    save("palette.png", rgb().quantize(16))
    save("grey-alpha.png", Image.merge("LA", (grey(), grey(5))))
    save("alpha.png", Image.merge("RGBA", (*rgb().split(), grey(5))))
    save("pages.tif", grey(), save_all=True, append_images=[grey(3), grey(7)], compression="tiff_lzw")
    save("frames.gif", rgb().quantize(16), save_all=True, append_images=[rgb(9).quantize(16)], duration=100, loop=0)
    save("frames.webp", rgb(), save_all=True, append_images=[rgb(9)], lossless=True, duration=100)
    save("frames.png", grey(), save_all=True, append_images=[grey(9)], duration=100)
    save("deflated.tif", rgb(), compression="tiff_adobe_deflate")
    save("plain.bmp", rgb())


def shares(image):
    """Pixels as shares of white, and how many channels."""
    if image.mode in ("I;16", "I;16B", "I"):
        return np.asarray(image).astype(np.float64) / 65535, 1
    if image.mode == "F":
        return np.asarray(image).astype(np.float64), 1
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L")) / 255, 1
    if image.mode == "LA":
        value, alpha = (np.asarray(band) / 255 for band in image.split())
        return value * alpha, 1
    pixels = np.asarray(image.convert("RGBA")) / 255
    return pixels[..., :3] * pixels[..., 3:], 3


def read(path):
    pages = []
    with Image.open(path) as image:
        for page in ImageSequence.Iterator(image):
            values, channels = shares(ImageOps.exif_transpose(page))
            if path.name == "orientation8.tif":  # Pillow mixes up the rows of a turned TIFF: stored on its right side
                values = np.rot90(ramp(1)[..., 0]) / 255
            height, width = values.shape[:2]
            pages.append([round(float(value), 5) for value in values.ravel()])
    return {"height": height, "width": width, "channels": channels, "pages": pages}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    make()
    files = sorted(path for path in FOLDER.iterdir() if path.suffix != ".json")
    expected = {path.name: read(path) for path in files}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in expected.items())
    (FOLDER / "expected.json").write_text("{\n" + lines + "\n}\n")
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes")
