"""Six short animations for the book: GIF files, each with a still picture for print.

    python -m figures.animations                    # draws all six into figures/results/animations
    python -m figures.animations --measure          # first trains the detector that three of them show (a minute)

matching: each anchor chooses its object in the matrix of IoU (chapter 4). loss_bars: who carries the loss while a
detector learns (chapter 5). pyramid: the way through the network (chapter 9). heat_maps: what a detector sees in an
image while it learns (chapter 10). suppression: round after round of NMS (chapter 11). average_precision: down the list
of detections (chapter 12).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from figures import museum_detector
from figures.animations_drawn import average_precision, matching, pyramid
from minidet import files, reference
from minidet.plotting import CLASS_COLOURS, STYLE, draw_boxes, draw_image, new_figure
from minidet.reference.stable import sigmoid

OUT = Path(__file__).parent / "results" / "animations"
RESULTS = OUT / "run.json"
IMAGE = 10
"""The unseen image whose scores are drawn."""
EVERY = 8
"""Steps from one frame to the next."""
GROUPS = {
    "easy background": "#CCCCCC", "hard background": "#555555", "easy objects": "#F6DDA0", "hard objects": "#E69F00"
}  # fmt: skip
"""As in chapter 5."""


def measure() -> None:
    """Train the museum's detector and keep, every few steps, what the two animations of a training show."""
    unseen = museum_detector.Scenes(40, seed=1)
    anchors = museum_detector.make_anchors()
    kept: dict[str, Any] = {"steps": [], "maps": [], "shares": []}

    def look(step: int, model: torch.nn.Module) -> None:
        outputs = museum_detector.outputs(model, np.stack([unseen[i].image for i in range(len(unseen))]))
        logits = outputs[0].double().numpy()  # (40, N, K)
        best = sigmoid(logits[IMAGE].max(axis=1))  # (N,)
        kept["steps"].append(step)
        kept["maps"].append(np.round(best.reshape(-1, 9).max(axis=1), 3).tolist())
        kept["shares"].append(shares(logits, unseen, anchors.numpy()))

    model, _ = museum_detector.train(every=EVERY, look=look)
    outputs = museum_detector.outputs(model, unseen[IMAGE].image[None])
    scores = sigmoid(outputs[0][0].double().numpy().max(axis=1))
    sure = np.flatnonzero(scores > 0.1)
    offsets = (outputs[1][0] * museum_detector.OFFSET_SCALE).double().numpy()
    kept["boxes"] = np.round(reference.decode_boxes(offsets[sure], anchors.double().numpy()[sure]), 1).tolist()
    kept["scores"] = np.round(scores[sure], 3).tolist()
    print(files.write_text(RESULTS, json.dumps(kept, separators=(",", ":"))))


def shares(logits: np.ndarray, unseen: museum_detector.Scenes, anchors: np.ndarray) -> list[list[float]]:
    """The shares of four groups of anchors in the cross entropy and in the focal loss, each adding up to 1.

    Args:
        logits: (B, N, K).
        unseen: the images that they are of.
        anchors: (N, 4).

    Returns:
        Two rows of four, in the order of `GROUPS`; an anchor is easy where the truth has at least half the probability
        in every class.
    """
    total = np.zeros((2, 4))
    for i, x in enumerate(logits):
        record = unseen.record(i)
        assigned = reference.assign_anchors(anchors, record.boxes)
        used = assigned != -2
        x, assigned = x[used], assigned[used]
        target = (assigned >= 0)[:, None] & (record.classes[assigned][:, None] == np.arange(x.shape[1]))
        easy = ((x >= 0) == target).all(axis=1)
        group = 2 * (assigned >= 0) + ~easy
        for row, loss in enumerate((reference.cross_entropy(x, target), reference.focal_loss(x, target))):
            total[row] += np.bincount(group, weights=loss.sum(axis=1), minlength=4)
    return np.round(total / total.sum(axis=1, keepdims=True), 4).tolist()


def run() -> dict[str, Any]:
    """What was measured of the training."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def loss_bars() -> Iterator[Figure]:
    """The shares of four groups in both losses, from the first step of a training to the last."""
    kept = run()
    for step, rows in zip(kept["steps"], kept["shares"], strict=True):
        figure, axes = new_figure(7, 2.6)
        ax = axes[0, 0]
        for k, (name, colour) in enumerate(GROUPS.items()):
            left = [sum(row[:k]) for row in rows]
            ax.barh(["cross entropy", "focal loss"], [row[k] for row in rows], left=left, color=colour, label=name)
        ax.invert_yaxis()
        ax.set(xlim=(0, 1), xlabel="share of the loss", title=f"after {step} steps")
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
        yield figure


def heat_maps() -> Iterator[Figure]:
    """The best score in every cell of two levels, from the first step of a training to the last."""
    kept, sample = run(), museum_detector.Scenes(40, seed=1)[IMAGE]
    shape = museum_detector.HEIGHT, museum_detector.WIDTH
    cells = [(shape[0] // s, shape[1] // s) for s in museum_detector.CONFIG.anchors.strides]
    for step, values in zip(kept["steps"], kept["maps"], strict=True):
        figure, axes = new_figure(8, 2.3, columns=3)
        draw_image(axes[0, 0], sample.image)
        draw_boxes(axes[0, 0], sample.boxes, colours="white", linewidth=2)
        axes[0, 0].set_title(f"after {step} steps", fontsize=10)
        first = 0
        for ax, (rows, columns), level in zip(axes[0, 1:], cells, museum_detector.CONFIG.anchors.levels, strict=True):
            part = np.array(values[first : first + rows * columns]).reshape(rows, columns)
            first += rows * columns
            ax.imshow(part, cmap="viridis", vmin=0, vmax=1, extent=(0, shape[1], shape[0], 0))
            draw_boxes(ax, sample.boxes, colours="white", linewidth=1)
            ax.set(xticks=[], yticks=[])
            ax.grid(visible=False)
            ax.set_title(f"P{level}: best score of a cell", fontsize=10)
        yield figure


def suppression() -> Iterator[Figure]:
    """Rounds of NMS: the best box that is left (blue) drops those that overlap it (orange)."""
    kept, sample = run(), museum_detector.Scenes(40, seed=1)[IMAGE]
    boxes, scores = np.array(kept["boxes"]), np.array(kept["scores"])
    waiting = np.argsort(-scores, kind="stable")
    chosen: list[int] = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        gone = reference.box_iou(boxes[best : best + 1], boxes[rest])[0] > 0.5
        for told, left, dropped in (
            (f"round {len(chosen) + 1}: the best of {len(waiting)} boxes, score {scores[best]:.2f}", rest, rest[:0]),
            (f"it drops {gone.sum()} that overlap it by more than 0.5", rest[~gone], rest[gone]),
        ):
            figure, axes = new_figure(5, 3.6)
            draw_image(axes[0, 0], sample.image)
            draw_boxes(axes[0, 0], boxes[left], colours="#DDDDDD", linewidth=0.8)
            draw_boxes(axes[0, 0], boxes[dropped], colours=CLASS_COLOURS[1], linewidth=1.2)
            draw_boxes(axes[0, 0], boxes[chosen], colours="#009E73", linewidth=2)
            draw_boxes(axes[0, 0], boxes[best], colours=CLASS_COLOURS[0], linewidth=3)
            axes[0, 0].set_title(told, fontsize=10)
            yield figure
        chosen.append(int(best))
        waiting = rest[~gone]
    assert chosen == reference.nms(boxes, scores).tolist()
    figure, axes = new_figure(5, 3.6)
    draw_image(axes[0, 0], sample.image)
    draw_boxes(axes[0, 0], boxes[chosen], colours="#009E73", linewidth=2)
    axes[0, 0].set_title(f"{len(boxes)} boxes were given, {len(chosen)} are kept", fontsize=10)
    yield figure


ANIMATIONS: dict[str, tuple[Callable[[], Iterator[Figure]], int]] = {
    "matching": (matching, 900), "loss_bars": (loss_bars, 250), "pyramid": (pyramid, 1100),
    "heat_maps": (heat_maps, 250), "suppression": (suppression, 1000), "average_precision": (average_precision, 1300),
}  # fmt: skip
"""The frames of each animation, and milliseconds per frame."""


def write(name: str, out: Path = OUT) -> list[Path]:
    """Draw an animation and its still picture, which is its last frame.

    Args:
        name: one of `ANIMATIONS`.
        out: folder for NAME.gif and NAME.png.

    Returns:
        Both files.
    """
    draw, milliseconds = ANIMATIONS[name]
    with matplotlib.rc_context(STYLE):
        frames = [_rendered(figure) for figure in draw()]
    some = [frames[0], frames[len(frames) // 3], frames[len(frames) // 2], frames[-1]]
    palette = Image.fromarray(np.concatenate([np.asarray(frame) for frame in some])).quantize(64)
    small = [frame.quantize(64, palette=palette, dither=Image.Dither.NONE) for frame in frames]
    out.mkdir(parents=True, exist_ok=True)
    durations = [milliseconds] * (len(small) - 1) + [3000]
    paths = [out / f"{name}.gif", out / f"{name}.png"]
    small[0].save(paths[0], save_all=True, append_images=small[1:], duration=durations, loop=0, optimize=True)
    frames[-1].quantize(128).save(paths[1], optimize=True)
    return paths


def _rendered(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(90)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def main(arguments: list[str] | None = None) -> list[Path]:
    """Measure if asked to, then draw all animations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="train the detector that is shown")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pictures (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.measure:
        measure()
    paths = [path for name in ANIMATIONS for path in write(name, options.out)]
    for path in paths:
        print(path)
    return paths


if __name__ == "__main__":
    main()
