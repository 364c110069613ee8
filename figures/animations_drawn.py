"""The frames of the three animations that need no training: matching, the pyramid, average precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from figures import museum_detector
from minidet import reference
from minidet.data.shapes import Shapes
from minidet.plotting import CLASS_COLOURS, draw_boxes, draw_curve, draw_image, new_figure
from minidet.reference.average_precision import average_precision as area
from minidet.reference.average_precision import match_detections, precision_recall

BLUE, ORANGE, GREEN = CLASS_COLOURS[:3]
DECISIONS = {"positive": BLUE, "ignored": "#E69F00", "background": "#999999"}
MATCHED = 0
"""The scene whose anchors are matched."""


def matching() -> Iterator[Figure]:
    """Anchor by anchor: the column of the IoU matrix, its largest entry, and what follows from it."""
    sample = museum_detector.Scenes(100, seed=1)[MATCHED]
    every = museum_detector.make_anchors().double().numpy()
    overlaps = reference.box_iou(every, sample.boxes)  # (N, M)
    best = overlaps.max(axis=1)
    picked: list[int] = []
    for m in range(len(sample.boxes)):
        own = np.flatnonzero(overlaps.argmax(axis=1) == m)
        ranked = own[np.argsort(-overlaps[own, m])]
        between = ranked[(best[ranked] >= 0.4) & (best[ranked] < 0.5)]
        far = ranked[best[ranked] < 0.35]
        picked += [*ranked[:2].tolist(), *between[:1].tolist(), *far[len(far) // 8 :][:1].tolist()]
    order = np.random.default_rng(0).permutation(picked)
    iou = overlaps[order].T  # (M, A)
    for done in range(len(order) + 1):
        figure, axes = new_figure(9, 3, columns=2, width_ratios=[1, 1.6])
        image, matrix = axes[0]
        draw_image(image, sample.image)
        draw_boxes(image, sample.boxes, [f"object {m + 1}" for m in range(len(sample.boxes))], "#333333")
        matrix.imshow(iou, cmap="Greys", vmin=0, vmax=1.3, aspect="auto")
        matrix.grid(visible=False)
        matrix.set(
            xticks=range(len(order)), xticklabels=range(1, len(order) + 1), yticks=range(len(iou)),
            yticklabels=[f"object {m + 1}" for m in range(len(iou))], xlabel="anchor",
        )  # fmt: skip
        for (m, a), value in np.ndenumerate(iou):
            matrix.text(a, m, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=8)
        told = "IoU of every anchor with every object"
        for a in range(done):
            m, top = int(iou[:, a].argmax()), float(iou[:, a].max())
            kind = "positive" if top >= 0.5 else "ignored" if top >= 0.4 else "background"
            colour, current = DECISIONS[kind], a == done - 1
            frame = Rectangle((a - 0.47, m - 0.47), 0.94, 0.94, fill=False, edgecolor=colour, linewidth=2.5)
            matrix.add_patch(frame)
            matrix.plot([a - 0.4, a + 0.4], [len(iou) - 0.45] * 2, color=colour, linewidth=6, clip_on=False)
            if current or kind == "positive":
                draw_boxes(image, every[order[a]], colours=colour, linewidth=3 if current else 1.2)
            if current:
                learns = f"learns object {m + 1}" if kind == "positive" else kind
                told = f"anchor {a + 1}: at most {top:.2f}, so it {'is ' * (kind != 'positive')}{learns}"
        matrix.set_title(told, fontsize=10)
        yield figure


FLOW = (
    ("The image goes in", ("image",), ()),
    ("The backbone halves the map, stage by stage", ("C3",), (("image", "C3"),)),
    ("Deeper maps are coarser, and know more of what is there", ("C4", "C5"), (("C3", "C4"), ("C4", "C5"))),
    ("A 1 × 1 convolution of the coarsest map is L5", ("L5",), (("C5", "L5"),)),
    ("L5 is enlarged, and a 1 × 1 convolution of C4 added: L4", ("L4",), (("C4", "L4"), ("L5", "L4"))),
    ("L4 is enlarged, and a 1 × 1 convolution of C3 added: L3", ("L3",), (("C3", "L3"), ("L4", "L3"))),
    ("A 3 × 3 convolution of each sum is a level", ("P3", "P4", "P5"), tuple((f"L{i}", f"P{i}") for i in (3, 4, 5))),
    ("Two more levels for large objects, from C5", ("P6", "P7"), (("C5", "P6"), ("P6", "P7"))),
    ("The same two subnets read every level", ("classes", "boxes"), tuple((f"P{i}", "classes") for i in range(3, 8))),
)
"""What each frame says, which maps it adds, and along which arrows."""
PLACES = {
    "image": (9, 8, 15), "C3": (29, 8, 13), "C4": (29, 22, 10), "C5": (29, 36, 7), "L3": (47, 8, 13),
    "L4": (47, 22, 10), "L5": (47, 36, 7), "P3": (65, 8, 13), "P4": (65, 22, 10), "P5": (65, 36, 7),
    "P6": (65, 48, 6), "P7": (65, 59, 5), "classes": (90, 40, 15), "boxes": (90, 18, 15),
}  # fmt: skip
"""The middle and the width of each map in the drawing."""


def pyramid() -> Iterator[Figure]:
    """The maps of RetinaNet, one step of the computation after the other."""
    for last, (told, new, _) in enumerate(FLOW):
        figure, axes = new_figure(8, 4.4)
        ax = axes[0, 0]
        ax.axis("off")
        ax.set(xlim=(0, 100), ylim=(0, 64))
        ax.set_title(told, fontsize=12)
        there = [name for _, names, _ in FLOW[: last + 1] for name in names]
        for name, (x, y, width) in PLACES.items():
            colour = ORANGE if name in new else BLUE if name in there else "#DDDDDD"
            ax.add_patch(Rectangle((x - width / 2, y - 3.5), width, 7, facecolor=colour, edgecolor="none"))
            words = f"{name}\n1/{2 ** int(name[1])}" if name[0] in "CLP" else name
            ax.text(x, y, words, ha="center", va="center", fontsize=8, color="white" if name in there else "#888888")
        for step, (_, _, arrows) in enumerate(FLOW[: last + 1]):
            for start, end in arrows:
                _arrow(ax, start, end, ORANGE if step == last else "#888888")
                if end == "classes":
                    _arrow(ax, start, "boxes", ORANGE)
        yield figure


def _arrow(ax: Axes, start: str, end: str, colour: str) -> None:
    (x1, y1, w1), (x2, y2, w2) = PLACES[start], PLACES[end]
    if x1 == x2:
        step = 3.5 if y2 > y1 else -3.5
        begin, tip = (float(x1), y1 + step), (float(x2), y2 - step)
    else:
        begin, tip = (x1 + w1 / 2, float(y1)), (x2 - w2 / 2, float(y2))
    ax.add_patch(FancyArrowPatch(begin, tip, arrowstyle="-|>", mutation_scale=12, color=colour, linewidth=1.5))


DETECTED = {
    4: ([[67, 6, 92, 32], [90, 21, 116, 48], [95, 27, 121, 52], [23, 46, 72, 93]], [0.97, 0.62, 0.55, 0.80]),
    22: ([[87, 33, 126, 76], [49, 43, 88, 92], [47, 1, 94, 20]], [0.91, 0.45, 0.30]),
    8: ([[22, 42, 92, 90]], [0.70]),
}
"""Chapter 12's eight detections: boxes and scores, by the number of the image."""


def average_precision() -> Iterator[Figure]:
    """Down the list of detections, then the envelope, then the area below it."""
    shapes = Shapes(
        images=23, seed=4, image_size=(96, 128), objects=(1, 4), distractors=(1, 2), min_size=18, max_size=60,
        classes=("disk",),
    )  # fmt: skip
    truth = [shapes.record(i).boxes for i in DETECTED]
    judged = [
        match_detections(np.array(boxes, float), np.array(scores), gt, 0.5)
        for (boxes, scores), gt in zip(DETECTED.values(), truth, strict=True)
    ]
    correct, scores = np.concatenate(judged), np.concatenate([np.array(s) for _, s in DETECTED.values()])
    order = np.argsort(-scores)
    precision, recall = precision_recall(correct, scores, sum(map(len, truth)))
    places = np.linspace(0, 1, 101)
    envelope = np.array([precision[recall >= r].max(initial=0) for r in places])
    for done in range(1, len(order) + 3):
        figure, axes = new_figure(8, 3.2, columns=2, width_ratios=[1, 2])
        table, ax = axes[0]
        table.axis("off")
        table.set(xlim=(0, 1), ylim=(len(order) - 0.5, -1.5))
        table.text(0, -1, "score", fontsize=9, color="#555555")
        for n, i in enumerate(order):
            colour = (BLUE if correct[i] else ORANGE) if n < done else "#CCCCCC"
            word = "right" if correct[i] else "wrong"
            table.text(0, n, f"{scores[i]:.2f}   {word if n < done else ''}", color=colour, fontsize=10, va="center")
        n = min(done, len(order))
        draw_curve(ax, recall[:n], precision[:n], "", "#333333", linewidth=1)
        for k in range(n):
            ax.plot(recall[k], precision[k], "o", color=BLUE if correct[order[k]] else ORANGE)
        found = int(correct[order[:n]].sum())
        told = f"after {n}: precision {found}/{n}, recall {found}/{sum(map(len, truth))}"
        if done > len(order):
            ax.plot(places, envelope, ".", color=GREEN, markersize=4)
            told = "the envelope: the best precision from here on"
        if done > len(order) + 1:
            ax.fill_between(places, envelope, step="pre", color="#D5EFE5")
            told = f"the area below it: AP50 = {area(precision, recall):.3f}"
        ax.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(0, 1.08))
        ax.set_title(told, fontsize=10)
        yield figure
