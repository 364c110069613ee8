"""What stands in image files beside the pixels: an orientation behind them, and colours of 16 bits."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from minidet import data
from minidet.data import Voc, images, load_image
from minidet.inspection import inspect
from tests.datasets import write_voc


def block(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(path: Path, values: np.ndarray, colour: int, behind: bytes = b"", before: bytes = b"") -> Path:
    """Values of (H, W, C), of 8 or 16 bits, and blocks before and behind them; in two pieces, as large images are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = values.astype(f">u{values.itemsize}")
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 8 * values.itemsize, colour, 0, 0, 0)
    pixels = block(b"IDAT", packed[:20]) + block(b"IDAT", packed[20:])
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + before + pixels + behind + block(b"IEND", b""))
    return path


def tiff(path: Path, values: np.ndarray) -> Path:
    """Colours of 16 bits, (H, W, 3), one strip."""
    height, width, _ = values.shape
    content = values.astype("<u2").tobytes()
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14),
            (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(content))]  # fmt: skip
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + b"\0\0\0\0"
    path.write_bytes(b"II*\0" + struct.pack("<I", 14 + len(content)) + struct.pack("<3H", 16, 16, 16) + content + table)
    return path


PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)


def exif(orientation: int) -> bytes:
    found = Image.Exif()
    found[274] = orientation
    return found.tobytes()[6:]


def xmp(orientation: int) -> bytes:
    text = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="{orientation}"/></x:xmpmeta>'
    return b"XML:com.adobe.xmp\0\0\0\0\0" + text.encode()


def profile(orientation: int) -> bytes:
    content = b"Exif\0\0" + exif(orientation)
    return b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n{len(content):8d}\n{content.hex()}\n".encode())


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize(("kind", "content"), [(b"eXIf", exif), (b"iTXt", xmp), (b"zTXt", profile)])
@pytest.mark.parametrize("place", ["before", "behind"])
def test_an_orientation_anywhere_in_a_png(tmp_path: Path, orientation: int, kind: bytes, content, place: str) -> None:
    path = png(tmp_path / "a.png", PIXELS, 2, **{place: block(b"tEXt", b"a\0b") + block(kind, content(orientation))})
    with Image.open(path) as image:
        shown = np.array(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(load_image(path), shown)
    assert shown.shape[0] == (5 if orientation < 5 else 8)
    assert images.image_size(path) == shown.shape[:2]
    assert images.read_picture(path).orientation == orientation
    np.testing.assert_array_equal(load_image(path, oriented=False), PIXELS)
    assert images.image_size(path, oriented=False) == (5, 8)


def test_the_size_of_a_png_is_read_without_its_pixels(tmp_path: Path, monkeypatch) -> None:
    def load(self):
        raise AssertionError("decoded")

    path = png(tmp_path / "a.png", PIXELS, 2, behind=block(b"tEXt", b"Comment\0eXIf"))
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    assert images.image_size(path) == (5, 8)


@pytest.mark.parametrize("cut", [12, 30, 60, 100])
def test_blocks_that_end_too_early_end_the_search(tmp_path: Path, cut: int) -> None:
    path = png(tmp_path / "a.png", PIXELS, 2)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"a\.png cannot be decoded"):
        load_image(path)


def deep(white: int, channels: int) -> np.ndarray:
    values = np.linspace(0, white, 6 * 7 * channels).astype(np.uint16).reshape(6, 7, channels)
    if channels in (2, 4):
        values[..., -1] = 65535  # opaque
    values[-1, -1, 0] = white
    return values


@pytest.mark.parametrize(("channels", "colour"), [(3, 2), (4, 6), (2, 4)])
@pytest.mark.parametrize(("white", "bits"), [(4095, 12), (1023, 10), (16000, 14), (300, 9), (255, 8)])
def test_deep_colours_that_would_be_black_are_refused(
    tmp_path: Path, channels: int, colour: int, white: int, bits: int
) -> None:
    path = png(tmp_path / "a.png", deep(white, channels), colour)
    with pytest.raises(ValueError, match=rf"a\.png cannot be decoded \(colours of 16 bits, .* fill {bits} and"):
        load_image(path)
    assert images.image_size(path) == (6, 7)


@pytest.mark.parametrize(("channels", "colour"), [(3, 2), (4, 6), (2, 4)])
@pytest.mark.parametrize("white", [65535, 16384])
def test_deep_colours_that_fill_their_bits_are_read(tmp_path: Path, channels: int, colour: int, white: int) -> None:
    values = deep(white, channels)
    pixels = load_image(png(tmp_path / "a.png", values, colour))
    colours = values[..., :1].repeat(3, axis=2) if channels == 2 else values[..., :3]
    np.testing.assert_array_equal(pixels, colours >> 8)


def test_a_dark_image_of_8_bits_is_dark(tmp_path: Path) -> None:
    dark = PIXELS // 16
    np.testing.assert_array_equal(load_image(png(tmp_path / "a.png", dark, 2)), dark)


def test_deep_colours_of_tiff(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", deep(65535, 3))
    np.testing.assert_array_equal(load_image(path), deep(65535, 3) >> 8)
    with pytest.raises(ValueError, match=r"a\.tif cannot be decoded \(colours of 16 bits, .* fill 12 and"):
        load_image(tiff(tmp_path / "a.tif", deep(4095, 3)))


def test_inspecting_tells_which_images_would_be_black(tmp_path: Path) -> None:
    for name, white in (("a", 4095), ("b", 65535)):
        png(tmp_path / "JPEGImages" / f"{name}.png", deep(white, 3), 2)
        write_voc(tmp_path, name, ("cat", (1, 1, 4, 4)), size=(6, 7), image=False)
    faults = inspect(Voc(tmp_path), resize=None, progress=False).faults
    assert [(fault.kind, fault.image_id) for fault in faults] == [(data.UNREADABLE_IMAGE, "a")]
