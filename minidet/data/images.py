"""From an image file to pixels."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""The image formats that are opened; some others that Pillow knows start foreign programs (EPS)."""


def load_image(path: str | Path) -> NDArray[np.uint8]:
    """The pixels of an image file, (H, W, 3) uint8 RGB.

    Greyscale, palette and CMYK become RGB, an alpha channel is dropped, of 16 bits the upper 8 are kept, of an
    animation the first frame. Pixels stay as they are stored: an EXIF rotation is not applied, because annotation tools
    write boxes and sizes for the stored grid (where one does not, the sizes differ and the data set says so).

    Raises ValueError, naming the file, when it is missing, empty, truncated, in none of FORMATS, or has more pixels
    than ``PIL.Image.MAX_IMAGE_PIXELS`` (a small file can unpack to fill all memory).
    """
    with opened(Path(path)) as image:
        if image.mode.startswith("I"):  # 16 bits, one channel
            grey = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if image.mode == "F":
            raise ValueError("pixels are floating point, of unknown range: save it with 8 bits a channel")
        if "transparency" in image.info:
            return np.array(image.convert("RGBA").convert("RGB"))
        return np.array(image.convert("RGB"))


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file with its header read. Whatever is wrong with it, also later, is a ValueError that names it."""
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
            f"{path} has more than PIL.Image.MAX_IMAGE_PIXELS = {Image.MAX_IMAGE_PIXELS} pixels: make it smaller, or "
            "raise that limit if you trust the file"
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error) as error:
        raise ValueError(f"{path} cannot be decoded ({error}): replace the image or remove its annotation") from error
