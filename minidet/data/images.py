"""From an image file to pixels."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from minidet.data.headers import has_deep_colour, may_be_turned

FORMATS = (
    "JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM",
    *(name for name, feature in (("JPEG2000", "jpg_2000"), ("AVIF", "avif")) if features.check(feature)),
)  # fmt: skip
"""The image formats that are opened; some others that Pillow knows start foreign programs (EPS)."""

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
    ".jp2", ".j2k", ".avif",
)  # fmt: skip
"""What an image's name may end with, in either case, to be found in a folder."""

LIMIT = "MINIDET_MAX_IMAGE_PIXELS"
"""The environment variable that raises the largest number of pixels that an image may have."""

_DARK = 64
"""Below this, two of the upper 8 bits or more are not used by any colour of the image."""
_ORIENTATION = 274  # EXIF's and TIFF's number of that tag

if os.environ.get(LIMIT, "").isdecimal():
    Image.MAX_IMAGE_PIXELS = int(os.environ[LIMIT])


class Picture(NamedTuple):
    """An image file's pixels, and what was done to get them."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    orientation: int
    """1 … 8, EXIF's; other than 1, the file asks a viewer to turn or mirror what is stored."""
    bits: int
    """8, or for files of more bits how many of them hold the values: the brightest are brought to 8."""


def load_image(path: str | Path, oriented: bool = True) -> NDArray[np.uint8]:
    """The pixels of an image file as a viewer shows them.

    Greyscale, palette and CMYK become RGB; an alpha channel is dropped; of an animation the first frame is taken. Grey
    values of more than 8 bits are read as of 10, 12, 14 or 16 bits, the smallest of these that holds the image's
    largest value, of which the upper 8 are kept. Of colours of 16 bits the upper 8 are kept, and an image is refused
    that would be all but black for want of values in these.

    Args:
        path: the file.
        oriented: turn and mirror the image as its EXIF orientation asks, which viewers and most annotation tools do;
            False: leave the pixels as they are stored.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: the file is missing, empty, truncated, in none of FORMATS, all but black, or has more pixels than
            ``PIL.Image.MAX_IMAGE_PIXELS`` (a small file can unpack to fill all memory); the message names the file.
    """
    return read_picture(path, oriented).pixels


def read_picture(path: str | Path, oriented: bool = True) -> Picture:
    """The pixels of an image file, with its orientation and depth; arguments and errors are those of `load_image`.

    Args:
        path: the file.
        oriented: as in `load_image`.

    Returns:
        The picture.

    Raises:
        ValueError: as in `load_image`.
    """
    with opened(Path(path)) as image:
        orientation = _orientation(image)
        deep = has_deep_colour(image)  # Pillow reads the upper 8 bits of each colour
        image.load()
        pixels, bits = _rgb(image)
        brightest = int((np.asarray(image) if image.mode == "CMYK" else pixels).max(initial=0)) if deep else 255
        if brightest < _DARK:
            raise ValueError(
                f"colours of 16 bits, of which the values fill {8 + brightest.bit_length()} and only the upper 8 bits "
                f"are read, so the brightest would be {brightest} of 255: save it with 8 bits per channel"
            )
    if image.format == "TIFF":  # Pillow has turned it
        pixels = pixels if oriented else turned(pixels, {6: 8, 8: 6}.get(orientation, orientation))
    elif oriented:
        pixels = turned(pixels, orientation)
    return Picture(pixels, orientation, bits)


def image_size(path: str | Path, oriented: bool = True) -> tuple[int, int]:
    """The size of an image, from its header alone.

    Args:
        path: the file.
        oriented: as in `load_image`.

    Returns:
        (height, width) of the array that `load_image` returns.

    Raises:
        ValueError: as in `load_image`.
    """
    with opened(Path(path)) as image:
        orientation = _orientation(image)
        if image.format == "TIFF" and orientation > 4:
            image.load()
            return (image.height, image.width) if oriented else (image.width, image.height)
        sides = (image.height, image.width)
        return sides[::-1] if oriented and orientation > 4 and image.format != "TIFF" else sides


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Stored pixels as EXIF's orientation wants them shown.

    Args:
        pixels: (H, W, C).
        orientation: 1 as stored; 2 mirrored left to right; 3 turned by 180 degrees; 4 mirrored top to bottom; 5 rows
            and columns exchanged; 6 turned clockwise; 7 exchanged along the other diagonal; 8 turned anticlockwise.

    Returns:
        (H, W, C), or (W, H, C) for orientations from 5 on.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file with its header read. Whatever is wrong with it, also later, is a ValueError that names it.

    Args:
        path: the file.
    """
    try:
        if path.stat().st_size == 0:
            raise ValueError("the file is empty (0 bytes)")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: restore the image or remove its annotation") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(
            f"{path} has more than PIL.Image.MAX_IMAGE_PIXELS = {Image.MAX_IMAGE_PIXELS} pixels: make it smaller, or, "
            f"if you trust the file, set {LIMIT} to a larger number in the environment"
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, RuntimeError, struct.error) as error:
        raise ValueError(f"{path} cannot be decoded ({error}): replace the image or remove its annotation") from error


def _orientation(image: Image.Image) -> int:
    """1 … 8; 1 where the file names none, or an unknown one."""
    if image.format == "PNG" and not may_be_turned(image):
        return 1  # asking for it would decode the whole image, in search of a block behind the pixels
    found = image.getexif().get(_ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def _rgb(image: Image.Image) -> tuple[NDArray[np.uint8], int]:
    """(H, W, 3) as stored, and the bits of Picture."""
    if image.mode.startswith("I"):  # one channel of 16 bits or more
        grey = np.maximum(np.asarray(image).astype(np.int64), 0)
        bits = int(grey.max(initial=0)).bit_length()
        bits = max(8, bits + bits % 2)
        return np.repeat((grey >> (bits - 8)).astype(np.uint8)[:, :, None], 3, axis=2), bits
    if image.mode == "F":
        raise ValueError("pixels are floating point, of unknown range: save it with 8 bits per channel")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert("RGB")), 8
