"""Pictures of an evaluation: the confusion matrix, and the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from minidet.data import Dataset
from minidet.evaluation.mistakes import Mistake
from minidet.labels import FAMILIES, plain, use_fonts_for
from minidet.plotting import draw_boxes, draw_image, new_figure

_WRITTEN = 15  # with more classes the counts are left to the colours


def confusion_page(matrix: np.ndarray, classes: Sequence[str], title: str = "") -> Figure:
    """A confusion matrix: colours are parts of a row, numbers are counts.

    Args:
        matrix: (K + 1, K + 1), as `confusion_matrix` gives it.
        classes: (K,) names.
        title: whose mistakes these are.

    Returns:
        The figure.
    """
    use_fonts_for([title, *classes])
    side = min(14.0, 3.5 + 0.5 * len(matrix))
    figure, axes = new_figure(side + 1, side)
    ax = axes[0, 0]
    parts = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
    picture = ax.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    names = [plain(name, 16) for name in classes]
    ax.set_xticks(range(len(matrix)), [*names, "not found"], rotation=60, ha="right", family=FAMILIES)
    ax.set_yticks(range(len(matrix)), [*names, "nothing there"], family=FAMILIES)
    ax.set(xlabel="detected as", ylabel="object")
    ax.grid(False)
    if len(matrix) <= _WRITTEN:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                colour = "white" if parts[row, column] > 0.5 else "black"
                ax.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(picture, ax=ax, label="part of the row", shrink=0.8)
    ax.set_title(plain(title, 80), family=FAMILIES)
    return figure


def mistakes_page(
    mistakes: Sequence[Mistake], dataset: Dataset, classes: Sequence[str], title: str = "", columns: int = 4
) -> Figure:
    """The surroundings of each mistake, with its box.

    Args:
        mistakes: what to show, in this order.
        dataset: has the images.
        classes: names, for the choice of fonts.
        title: whose mistakes these are.
        columns: pictures in a row.

    Returns:
        The figure; it says so where there are no mistakes.
    """
    use_fonts_for([title, *classes])
    rows = max(1, -(-len(mistakes) // columns))
    figure, axes = new_figure(3.2 * columns, 3.4 * rows + 0.8, rows, columns)
    for ax in axes.flat:
        ax.set_axis_off()
    if not mistakes:
        axes[0, 0].set_title("no mistakes")
    for ax, mistake in zip(axes.flat, mistakes, strict=False):
        image = dataset[mistake.image].image
        left, top, right, bottom = _around(mistake.box, image.shape[:2])
        draw_image(ax, image[top:bottom, left:right])
        draw_boxes(ax, mistake.box[None] - np.array([left, top, left, top]), None, "#D55E00")
        ax.set_title(plain(mistake.says, 40), fontsize=9, family=FAMILIES)
    figure.suptitle(plain(title, 100), family=FAMILIES)
    return figure


def _around(box: np.ndarray, image_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A square of twice the box's longer side around it, at least 48 pixels, as far as the image goes."""
    half = max(24.0, float(max(box[2] - box[0], box[3] - box[1])))
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    height, width = image_size
    left, top = max(0, int(x - half)), max(0, int(y - half))
    return (
        left,
        top,
        min(width, max(left + 1, int(np.ceil(x + half)))),
        min(height, max(top + 1, int(np.ceil(y + half)))),
    )
