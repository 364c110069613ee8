"""Names in pictures: readable in any script, and never taken for something that they are not."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

from matplotlib import font_manager

from minidet.wording import shortened

FAMILIES = ["sans-serif"]
"""The fonts that pictures are drawn with, each for what those before it lack; `use_fonts_for` adds to them."""
_BOXES = ("last resort", "lastresort", "adobe blank", "adobeblank")
"""Fonts that draw an empty box, or nothing, for every character."""
_LIKELY = ("noto sans", "source han", "wenquanyi", "yahei", "simhei", "pingfang", "hiragino", "gothic", "unicode")
"""Parts of the names of fonts with many scripts, which are looked at first."""


def use_fonts_for(texts: Iterable[str]) -> None:
    """Find fonts for the characters of some texts, before a picture that holds them is begun.

    Matplotlib's own font has the Latin, Greek, Cyrillic, Hebrew and Arabic scripts, but no Chinese, Japanese or Korean
    ones; a computer on which people read these has other fonts.

    Args:
        texts: what will be written. Characters that no installed font has are left to `plain`.
    """
    missing = _lacking("".join(texts))
    if missing:
        for family, characters in _installed():
            if missing & characters and family not in FAMILIES:
                FAMILIES.append(family)
                missing -= characters
            if not missing:
                return


def plain(text: str, length: int = 24) -> str:
    """A label that matplotlib shows as it is: not too long, no formula, not hidden for a leading underscore.

    Args:
        text: any. A character that none of FAMILIES has is written as its number.
        length: characters at most, those numbers not counted.

    >>> plain("_x"), plain("a long name of some class", 11), plain("\\ue001x")
    (' _x', 'a lon…class', 'U+E001x')
    """
    text = shortened(" ".join(text.split()), length).replace("$", r"\\$")
    for code in _lacking(text):
        text = text.replace(chr(code), f"U+{code:X}")
    return f" {text}" if text.startswith("_") else text


def _lacking(text: str) -> set[int]:
    """The characters for which none of the fonts in use has a picture."""
    wanted = {ord(letter) for letter in text if not letter.isspace()}
    for family in FAMILIES:
        if wanted:
            wanted -= _characters(_path(family))
    return wanted


@functools.lru_cache(maxsize=16)
def _characters(path: str) -> frozenset[int]:
    return frozenset(font_manager.get_font(path).get_charmap())


def _path(family: str) -> str:
    return str(font_manager.findfont(font_manager.FontProperties(family=[family])))


def _installed() -> Iterator[tuple[str, frozenset[int]]]:
    """The families of this computer, likely ones first, with the characters that each has."""
    names = {entry.name: entry.fname for entry in font_manager.fontManager.ttflist if entry.style == "normal"}
    usable = [item for item in names.items() if not any(part in item[0].lower() for part in _BOXES)]
    for name, file in sorted(usable, key=lambda item: (not any(part in item[0].lower() for part in _LIKELY), item)):
        try:
            yield name, frozenset(font_manager.get_font(file).get_charmap())
        except (OSError, RuntimeError):  # a damaged font file: there are others
            continue
