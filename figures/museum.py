"""The failure museum: twelve detectors, each broken by one line, and what can be seen of it (chapters/museum.ipynb).

    python -m figures.museum --out FOLDER
    python -m figures.museum --measure      # trains eight small detectors: a few minutes on one core

A mistake is a line of museum_detector.py and what somebody wrote in its place. The module with that line exchanged is
run as it stands, so what is shown to be broken is what broke it. What was measured is committed
(figures/results/museum.json).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from figures import museum_detector, script
from minidet import files
from minidet.evaluation.detector import evaluate_detections
from minidet.plotting import CLASS_COLOURS, draw_boxes, draw_image, new_figure
from minidet.progress import Progress
from minidet.structures import Categories, Detections

RESULTS = Path(__file__).parent / "results" / "museum.json"
SHOWN = (17, 4, 20)
"""The images of `unseen` that are drawn; in the last one a triangle lies across a disk."""
KEPT, BEST = 30, 8
"""Of so many images the best boxes are kept, and so many of each."""
EVERY = 2
"""Steps from one point of a curve to the next."""


class Mistake(NamedTuple):
    """One line of the detector, and what stands in its place."""

    name: str
    """What the reader answers."""
    right: str
    """The line, or the part of it that matters; it occurs once."""
    wrong: str
    """In its place; empty: the line is missing."""
    trains: bool
    """Whether the training is concerned; otherwise the right weights are used wrongly."""


RIGHT = Mistake("nothing", "", "", True)
MISTAKES = {
    "A": Mistake("boxes not flipped", "boxes[:, [0, 2]] = WIDTH - boxes[:, [2, 0]]", "", True),
    "B": Mistake(
        "normalised twice", "pixels = normalise(torch.as_tensor(images))",
        "pixels = normalise(normalise(torch.as_tensor(images)))", False,
    ),
    "C": Mistake("no prior", "nn.init.constant_(bias, -math.log((1 - PRIOR) / PRIOR))", "nn.init.zeros_(bias)", True),
    "D": Mistake("class off by one", "classes[kept].numpy())", "classes[kept].numpy() - 1)", False),
    "E": Mistake("axes swapped", "torch.stack([x, y, x, y], dim=-1)", "torch.stack([y, x, y, x], dim=-1)", True),
    "F": Mistake("threshold too high", "sure = scores > 0.05", "sure = scores > 0.5", False),
    "G": Mistake("mean over all anchors", "one_hot[used]).sum() / count", "one_hot[used]).mean()", True),
    "H": Mistake("anchor order", "    anchors = make_anchors()\n", "    anchors = make_anchors(RATIOS[::-1])\n", False),
    "I": Mistake("no warm-up", "warm = min(1.0, (step + 1) / WARMUP)", "warm = 1.0", True),
    "J": Mistake("NMS across classes", "batched_nms(boxes, scores, classes, 0.5)", "nms(boxes, scores, 0.5)", False),
    "K": Mistake("ignored as background", "used = label != IGNORED", "used = label >= IGNORED", True),
    "L": Mistake("offset scale forgotten", "deltas[sure] * OFFSET_SCALE", "deltas[sure]", False),
}  # fmt: skip
"""The exhibits, by their letters."""


def broken(mistake: Mistake) -> ModuleType:
    """The detector's module with one line exchanged.

    Args:
        mistake: which line.

    Raises:
        ValueError: the module does not hold the line exactly once.
    """
    path = Path(museum_detector.__file__)
    text = path.read_text(encoding="utf-8")
    if mistake.right:
        if text.count(mistake.right) != 1:
            raise ValueError(f"{path.name} holds {mistake.right!r} {text.count(mistake.right)} times: once is needed")
        text = text.replace(mistake.right, mistake.wrong)
    module = ModuleType(f"museum_{mistake.name.replace(' ', '_')}")
    exec(compile(text, f"{path.name}, {mistake.name}", "exec"), module.__dict__)
    return module


def unseen(noise: float = 8) -> museum_detector.Scenes:
    """The images to measure on.

    Args:
        noise: as in `Scenes`; 0 for a picture that is easier to see and smaller to store.
    """
    return museum_detector.Scenes(80, seed=1, noise=noise)


def measured(module: ModuleType, model: Any) -> dict[str, Any]:
    """What a detector finds in unseen images: its AP, its curve, and its boxes in the images that are shown."""
    scenes = unseen()
    found = [module.detect(model, scenes[i].image) for i in range(len(scenes))]
    result = evaluate_detections(found, scenes, Categories.numbered(scenes.classes))
    curves = [result.precision_recall(k + 1)[1] for k in range(len(scenes.classes))]
    return {
        **{name: round(result.metrics[name], 3) for name in ("AP", "AP50", "AP75", "AR100")},
        "precision": _rounded(np.mean(curves, axis=0), 3),
        "above 0.05": round(np.mean([len(one.scores) for one in found]), 1),
        "boxes": [_rounded(one.boxes[:BEST], 1) for one in found[:KEPT]],
        "scores": [_rounded(one.scores[:BEST], 2) for one in found[:KEPT]],
        "classes": [one.classes[:BEST].tolist() for one in found[:KEPT]],
    }


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    rounded: list[Any] = values.astype(np.float64).round(digits).tolist()
    return rounded


def measure() -> None:
    """Train what has to be trained, break what has to be broken, and keep what is found."""
    torch.set_num_threads(1)
    right = broken(RIGHT)
    model, curve = right.train()
    kept: dict[str, Any] = {}
    for letter, mistake in Progress({"right": RIGHT, **MISTAKES}.items(), unit="detector"):
        module = broken(mistake)
        own, losses = module.train() if mistake.trains and mistake.right else (model, curve)
        points = np.array(losses).reshape(-1, EVERY, 2).mean(axis=1).T  # (2, steps / EVERY)
        kept[letter] = {"losses": _rounded(points, 5), **measured(module, own)}
    print(files.write_text(RESULTS, json.dumps(kept, separators=(",", ":"))))


def results() -> dict[str, Any]:
    """What was measured: by the letter of an exhibit, and under "right" the detector that is not broken."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def detections(exhibit: Mapping[str, Any], image: int) -> Detections[np.ndarray]:
    """What an exhibit finds in one of the images, its best boxes."""
    boxes, scores, classes = (np.array(exhibit[name][image]) for name in ("boxes", "scores", "classes"))
    return Detections(boxes.reshape(-1, 4), scores, classes.astype(np.int64))


def show(letter: str, best: int = 4, images: tuple[int, int, int] = SHOWN) -> Figure:
    """One exhibit: its losses and its precision beside those of the right detector (grey), and its best boxes.

    Args:
        letter: of the exhibit, or "right".
        best: how many boxes are drawn in each image.
        images: which.
    """
    every = results()
    right, own = every["right"], every[letter]
    figure, axes = new_figure(8.5, 3.9, 2, 3, height_ratios=[1, 1.1])
    steps = EVERY * (np.arange(len(own["losses"][0])) + 0.5)
    recalls = np.linspace(0, 1, 101)
    for exhibit, colour in ((right, "#BBBBBB"), (own, CLASS_COLOURS[0])):
        for ax, losses in zip(axes[0, :2], exhibit["losses"], strict=True):
            ax.semilogy(steps, losses, color=colour, linewidth=1)
        axes[0, 2].plot(recalls, exhibit["precision"], color=colour, linewidth=1.5)
    axes[0, 2].set(xlim=(0, 1), ylim=(0, 1.05), xticks=[0, 0.5, 1])
    curve = f"precision: AP50 {own['AP50']:.2f}, AP75 {own['AP75']:.2f}"
    titles = (("class loss", "step"), ("box loss", "step"), (curve, "recall"))
    for ax, (title, below) in zip(axes[0], titles, strict=True):
        ax.tick_params(labelsize=7, which="both")
        ax.set_title(title, fontsize=9)
        ax.set_xlabel(below, fontsize=8)
    for ax, image in zip(axes[1], images, strict=True):
        boxes, scores, classes = (column[:best] for column in detections(own, image))
        draw_image(ax, unseen(noise=0)[image].image)
        names = [f"{museum_detector.CLASSES[k]} {v:.2f}"[:20] for k, v in zip(classes, scores, strict=True)]
        for box, name in list(zip(boxes, names, strict=True))[::-1]:
            draw_boxes(ax, box[None], [name], "#222222", linewidth=1.2)
    return figure


def words(letter: str) -> str:
    """What `show` shows of an exhibit, for readers who cannot see it.

    Args:
        letter: of the exhibit, or "right".
    """
    own = results()[letter]
    (first, last), (box_first, box_last) = ((part[0], part[-1]) for part in own["losses"])
    told = [f"class loss from {first:.3g} to {last:.3g}, box loss from {box_first:.3g} to {box_last:.3g}"]
    told.append(f"AP50 {own['AP50']:.2f}, AP75 {own['AP75']:.2f}, AR100 {own['AR100']:.2f}")
    told.append(f"{own['above 0.05']:.1f} boxes per image")
    return f"Exhibit {letter}: {'; '.join(told)}. Three images with its best boxes."


def summary() -> Figure:
    """All twelve at a glance: AP50 and AP75 beside those of the right detector."""
    every = results()
    figure, axes = new_figure(8, 3)
    places = np.arange(len(every))
    for shift, name, colour in ((-0.2, "AP50", CLASS_COLOURS[0]), (0.2, "AP75", CLASS_COLOURS[4])):
        axes[0, 0].bar(places + shift, [one[name] for one in every.values()], 0.4, color=colour, label=name)
    axes[0, 0].set(xticks=places, xticklabels=list(every), xlabel="exhibit", ylim=(0, 1))
    axes[0, 0].legend()
    return figure


def answer(letter: str, name: str) -> str:
    """Whether a guess is right.

    Args:
        letter: of the exhibit, "A" to "L".
        name: of the mistake, one of those in `MISTAKES`; "?" is no answer yet.

    Returns:
        A sentence.

    Raises:
        ValueError: there is no such exhibit.
    """
    if letter not in MISTAKES:
        raise ValueError(f"letter = {letter!r} is no exhibit: choose from {', '.join(MISTAKES)}")
    names = sorted(mistake.name for mistake in MISTAKES.values())
    if name == "?":
        return f"{letter}: not answered yet"
    if name not in names:
        return f"{letter}: {name!r} is no answer, choose one of {', '.join(names)}"
    if MISTAKES[letter].name == name:
        return f"{letter}: right"
    elsewhere = MISTAKES[next(key for key, mistake in MISTAKES.items() if mistake.name == name)]
    here = MISTAKES[letter]
    if here.trains != elsewhere.trains:
        seen = "differs from" if here.trains else "is that of"
        return f"{letter}: no. Look at the losses: the training {seen} the right detector"
    return f"{letter}: no, though it does concern {'the training' if here.trains else 'what is done with the outputs'}"


def main(arguments: list[str] | None = None) -> list[Path]:
    """Measure if asked to, then draw the overview."""
    return script.run("museum", __doc__, summary, arguments, measure)


if __name__ == "__main__":
    main()
