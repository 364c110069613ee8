"""Formulas in HTML as drawings (SVG), so that a page shows them without a network."""

from __future__ import annotations

import html
import re

import numpy as np
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath

SIZE = 20.0
"""Points per em of the outlines."""
LETTERS = {
    Outline.MOVETO: "M",
    Outline.LINETO: "L",
    Outline.CURVE3: "Q",
    Outline.CURVE4: "C",
    Outline.CLOSEPOLY: "Z",
}
PLAIN = (
    (r"\\sqrt (\w)", r"\\sqrt{\1}"), (r"\\[td]frac(\d)(\d)", r"\\frac{\1}{\2}"), (r"\\[td]frac", r"\\frac"),
    (r"\\mathrel\{(.)\}=", r"\1="), (r"\\le(?![a-z])", r"\\leq"), (r"\\ge(?![a-z])", r"\\geq"),
)  # fmt: skip
"""TeX that Matplotlib does not know, in words that it does."""


def drawn(page: str) -> str:
    """HTML with its formulas, `$…$` and `$$…$$`, drawn.

    Raises:
        ValueError: a formula holds TeX that cannot be drawn.
    """
    page = re.sub(
        r"\$\$(.*?)\$\$",
        lambda found: f"<div>{svg(found[1])}</div>",
        page,
        flags=re.DOTALL,
    )
    return re.sub(r"\$([^$]+)\$", lambda found: svg(found[1]), page)


def svg(tex: str) -> str:
    """A formula as an SVG element that stands on the line and is as large as the text around it.

    Args:
        tex: as it stands in HTML, with `&lt;` for `<`.

    Raises:
        ValueError: it holds TeX that cannot be drawn.
    """
    source = " ".join(html.unescape(tex).split())
    outline = TextPath((0, 0), f"${plain(source)}$", size=SIZE)
    parts = []
    for points, code in outline.iter_segments(simplify=False):
        places = np.round(np.reshape(points, (-1, 2)) * [1, -1], 2)
        parts.append(
            LETTERS[code]
            + (
                ""
                if code == Outline.CLOSEPOLY
                else " ".join(f"{v:g}" for v in places.ravel())
            )
        )
    box = outline.get_extents()
    left, bottom, width, height = box.x0 - 1, box.y0 - 1, box.width + 2, box.height + 2
    view = f"{left:.2f} {-bottom - height:.2f} {width:.2f} {height:.2f}"
    style = f"height:{height / SIZE:.3f}em;vertical-align:{bottom / SIZE:.3f}em"
    label = html.escape(source, quote=True).replace("$", "")
    return f'<svg role="img" aria-label="{label}" viewBox="{view}" style="{style}"><path d="{"".join(parts)}"/></svg>'


def plain(tex: str) -> str:
    """TeX in words that Matplotlib knows; a list of cases becomes a line."""
    for old, new in PLAIN:
        tex = re.sub(old, new, tex)
    return re.sub(
        r"\\begin\{cases\}(.*?)\\end\{cases\}", lambda found: _cases(found[1]), tex
    )


def _cases(text: str) -> str:
    rows = [row.partition("&") for row in text.split(r"\\")]
    return r",\ \ ".join(
        f"{value.strip()}\\ \\ ({when.strip()})" for value, _, when in rows
    )
