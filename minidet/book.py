"""What the cells of the chapters share: colours by name, the code of a function, a figure with its words, silence.

    from minidet.book import BLUE, ORANGE, draw_boxes, new_figure, picture, source

It needs NumPy and Matplotlib; IPython, which is there wherever a notebook runs, is imported by what shows something.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import textwrap
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minidet.plotting import (
    CLASS_COLOURS,
    GAMMA_COLOURS,
    STYLE,
    draw_boxes,
    draw_curve,
    draw_image,
    new_figure,
)

__all__ = [
    "BLUE", "ORANGE", "GREEN", "PINK", "YELLOW", "SKY", "PURPLE", "BROWN", "GREY", "DARK", "CLASS_COLOURS",
    "GAMMA_COLOURS", "source", "code", "picture", "wrapped", "quiet", "new_figure", "draw_boxes", "draw_curve",
    "draw_image", "draw_map",
]  # fmt: skip

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, PURPLE, BROWN = CLASS_COLOURS
GREY, DARK = "#999999", "#333333"

DPI = 100
"""Dots per inch of a picture: a figure 8.5 inches wide fills the text of a page."""
WIDTH = 88
"""Columns of text on a page."""
WIDEST = 1000
"""Pixels of the longer side of a picture that is read from a file."""


def source(*functions: Callable[..., Any], docstrings: bool = False) -> Any:
    """Show the code of functions or classes of minidet, as it is, each with the first sentence of its docstring.

    Args:
        functions: what to show, in this order.
        docstrings: show the docstrings in full.

    Returns:
        Markdown that a notebook displays.
    """
    from IPython.display import Markdown

    return Markdown("\n".join(f"```python\n{code(function, docstrings)}\n```" for function in functions))


def code(function: Callable[..., Any], docstrings: bool = False) -> str:
    """The code of a function or class, flush left.

    Args:
        function: anything whose source Python can find.
        docstrings: keep all of every docstring; otherwise its first sentence, with the comments, is kept.

    Returns:
        Lines of Python, without a newline at the end.

    >>> from minidet.reference import box_area
    >>> print("\\n".join(code(box_area).split("\\n")[:2]))
    def box_area(boxes: ArrayLike) -> np.ndarray:
        \"\"\"The area of each box.\"\"\"
    """
    text = textwrap.dedent(inspect.getsource(function)).rstrip()
    if docstrings:
        return text
    lines: list[str | None] = list(text.split("\n"))
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or ast.get_docstring(node) is None:
            continue
        said, sentence = node.body[0], str(ast.get_docstring(node)).split("\n\n")[0].strip()
        first, last = said.lineno - 1, said.end_lineno or said.lineno
        if last > first + 1:
            quoted = f'"""{" ".join(sentence.split())}"""'
            indent = " " * said.col_offset
            wrapped = textwrap.fill(quoted, 100, initial_indent=indent, subsequent_indent=indent)
            lines[first:last] = [wrapped, *[None] * (last - first - 1)]  # the other lines keep their numbers
    return "\n".join(line for line in lines if line is not None)


def picture(what: Figure | Path | str, alt: str, photograph: bool = False) -> None:
    """Show a figure, or a picture that was written to a file, and keep what it shows in words.

    Args:
        what: a figure, or the path of an image file, which is made smaller where it is more than 1000 pixels wide or
            high.
        alt: what there is to see, in one or two sentences, for readers who cannot see it; it also stands where a
            picture cannot be shown.
        photograph: keep it as JPEG, with all its colours and in fewer bytes; drawings are sharper as PNG.

    Raises:
        ValueError: `alt` is empty.
    """
    from IPython.display import display

    if not alt.strip():
        raise ValueError("a picture needs words: pass alt, a sentence that says what there is to see")
    kind = "image/jpeg" if photograph else "image/png"
    shown = {kind: b64encode(_bytes(what, photograph)).decode(), "text/plain": alt}
    display(shown, metadata={kind: {"alt": alt}}, raw=True)


def wrapped(text: str, width: int = WIDTH) -> str:
    """Text whose long lines go on in the next, a little further in, so that a page need not be moved sideways.

    Args:
        text: any number of lines.
        width: columns at most, where words allow it.

    Returns:
        The same words; short lines as they are.

    >>> print(wrapped("- a box: far too long for the line", width=20))
    - a box: far too
        long for the
        line
    """
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        lines += textwrap.wrap(line, width, subsequent_indent=indent, drop_whitespace=True) or [""]
    return "\n".join(lines)


@contextlib.contextmanager
def quiet(printed: bool = True) -> Iterator[io.StringIO]:
    """Keep progress bars, and what is printed, out of the page.

    Args:
        printed: also what goes to stdout, not only what goes to stderr.

    Returns:
        A context whose value holds what was said.

    >>> with quiet() as said:
    ...     print("step 1 of 500")
    >>> said.getvalue()
    'step 1 of 500\\n'
    """
    said = io.StringIO()
    aside = contextlib.redirect_stdout(said) if printed else contextlib.nullcontext()
    with contextlib.redirect_stderr(said), aside:
        yield said


def draw_map(axes: Axes, values: np.ndarray, title: str = "", numbers: bool = True, **options: Any) -> None:
    """A small map, light where values are large, with its numbers.

    Args:
        axes: what to draw on.
        values: (H, W) finite numbers.
        title: what they are.
        numbers: write each into its cell.
        options: what `matplotlib.axes.Axes.imshow` takes.
    """
    axes.imshow(values, **{"cmap": "cividis", **options})
    axes.set(xticks=[], yticks=[], title=title)
    axes.grid(visible=False)
    middle = (values.min() + values.max()) / 2
    for (i, j), value in np.ndenumerate(values if numbers else np.zeros((0, 0))):
        shade = "white" if value <= middle else "black"
        axes.text(j, i, f"{value:g}", ha="center", va="center", color=shade, fontsize=8)


def _bytes(what: Figure | Path | str, photograph: bool) -> bytes:
    """A picture as JPEG, or as PNG in at most 256 colours, a third of the bytes."""
    drawn, small = io.BytesIO(), io.BytesIO()
    if isinstance(what, Figure):
        with matplotlib.rc_context(STYLE):
            what.savefig(drawn, format="png", dpi=DPI, bbox_inches="tight")
    with PIL.Image.open(drawn if isinstance(what, Figure) else what) as image:
        copy = image.convert("RGB")
    if not isinstance(what, Figure):
        copy.thumbnail((WIDEST, WIDEST))
    if photograph:
        copy.save(small, "JPEG", quality=82, optimize=True)
    else:
        copy.quantize(256).save(small, "PNG", optimize=True)
    return small.getvalue()
