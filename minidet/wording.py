"""How numbers, names and tables are written, in a terminal and in a picture."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Sequence

LINE = 100
"""Characters in a line of a report."""


def percent(share: float | None) -> str:
    """A share in per cent, with digits enough to tell the smallest from 0 and the largest from 100.

    Args:
        share: in [0, 1], or None where there is none.

    Returns:
        Text such as ``"12.3 %"``; a dash for None.

    >>> percent(0.123), percent(0.0004321), percent(0.9995), percent(None)
    ('12.3 %', '0.043 %', '99.95 %', '–')
    """
    if share is None:
        return "–"
    return f"{100 * share:.2g} %" if 0 < share < 0.01 else f"{100 * share:.{2 if 0.99 < share < 1 else 1}f} %"


def number(value: float | None, digits: int = 1) -> str:
    """A number with thousands separated; a dash for None.

    Args:
        value: any finite number, or None.
        digits: how many follow the point.

    >>> number(1234.56), number(None)
    ('1,234.6', '–')
    """
    return "–" if value is None else f"{value:,.{digits}f}"


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun, in the singular or the plural.

    Args:
        count: how many, at least 0.
        one: the noun in the singular.
        many: the plural; the singular with an s if empty.

    >>> counted(1, "box", "boxes"), counted(2000, "image")
    ('1 box', '2,000 images')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shortened(text: str, length: int = 22) -> str:
    """The text itself, or its beginning and its end where it is longer.

    Args:
        text: any.
        length: characters, at least 3.

    >>> shortened("BloodImage_00338_augmented", 11)
    'Blood…ented'
    """
    half = length // 2
    return text if len(text) <= length else f"{text[:half]}…{text[half + 1 - length :]}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table: the first column to the left, the others to the right.

    Args:
        rows: texts, as many in each row.

    >>> aligned([["", "boxes"], ["cat", "7"]])
    ['     boxes', 'cat      7']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def wrapped(text: str, bullet: str = "") -> list[str]:
    """The text in lines of at most LINE characters.

    Args:
        text: any.
        bullet: what the first line begins with; the others are indented by as much.
    """
    return textwrap.wrap(text, LINE, initial_indent=bullet, subsequent_indent=" " * len(bullet))


def did_you_mean(name: str, known: Iterable[str], rest: str, before: str = "") -> str:
    """What is said of a name that is not known: the nearest one, if any is near, and then the rest.

    Args:
        name: the one that is not known.
        known: the names that are.
        rest: what is said in any case, beginning with a small letter.
        before: stands before the nearest name.

    >>> did_you_mean("los.kind", ["loss.kind", "loss.gamma"], "there are loss", "training.")
    'did you mean training.loss.kind? There are loss'
    >>> did_you_mean("colour", ["loss.kind", "loss.gamma"], "there are loss")
    'there are loss'
    """
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {before}{near[0]}? {rest[0].upper()}{rest[1:]}" if near else rest
