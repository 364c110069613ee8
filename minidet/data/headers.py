"""What stands in an image file beside its pixels, where Pillow does not say it or would decode the image for it."""

from __future__ import annotations

import struct
from pathlib import Path

from PIL import Image

_BITS_PER_SAMPLE = 258  # TIFF's number of that tag
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_NAMES = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
"""What a PNG's text blocks are called that may hold an orientation."""


def may_be_turned(image: Image.Image) -> bool:
    """Whether a PNG holds a block, before or behind its pixels, in which an orientation may stand.

    Args:
        image: a PNG that was opened, and not yet decoded; the headers of its blocks are read.
    """
    if "exif" in image.info or "Raw profile type exif" in image.info:
        return True
    return "tiff:Orientation" in str(image.info.get("XML:com.adobe.xmp", "")) or _turned_behind(Path(image.filename))  # type: ignore[attr-defined]


def _turned_behind(path: Path) -> bool:
    """Whether such a block follows the pixels."""
    behind = False
    with path.open("rb") as file:
        file.seek(8)
        while len(header := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", header)
            after = file.tell() + length + 4  # a checksum follows
            behind = behind or kind == b"IDAT"
            if kind == b"IEND":
                return False
            if behind and (kind == b"eXIf" or (kind in _TEXT and file.read(32).startswith(_NAMES))):
                return True
            file.seek(after)
    return False


def has_deep_colour(image: Image.Image) -> bool:
    """Whether an image stores colours, or grey with transparency, in more bits than Pillow reads.

    Args:
        image: an image that was opened.
    """
    if image.mode.startswith(("I", "F")):
        return False
    if image.format == "PNG":
        with Path(image.filename).open("rb") as file:  # type: ignore[attr-defined]
            header = file.read(25)  # the mark, the first block's length and name, width, height, and then the depth
        return header[12:16] == b"IHDR" and header[24] > 8
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,)), default=8) > 8  # type: ignore[attr-defined]
    return False
