"""Ground truth and detections as a detector leaves them, written like COCO's files, for measuring evaluators."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

CLASSES, WIDTH, HEIGHT = 80, 640, 480


def realistic(images: int, per_image: int = 100, seed: int = 0) -> tuple[dict, list]:
    """A COCO data set and the detections of a mediocre detector in it.

    Unlike boxes that are jittered around the objects, most detections lie on no object: an object that is found has a
    good box with a high score, several worse ones that suppression has left, and some of another class; small objects
    are missed more often; the rest of the list are low scores on the background, in few of the classes. Classes have
    the frequencies of Zipf's law, as in COCO, whose largest class has a third of the objects.

    Args:
        images: how many.
        per_image: detections per image.
        seed: of the generator.

    Returns:
        The data set, with outlines, and the list of detections, whose numbers have the digits of float32.
    """
    rng = np.random.default_rng(seed)
    names = np.arange(1, CLASSES + 1)
    frequency = 1 / names**0.9
    frequency /= frequency.sum()
    image_ids = np.sort(rng.choice(600_000, images, replace=False)).tolist()
    truth: dict[str, list] = {
        "images": [
            {"id": i, "file_name": f"{i:012d}.jpg", "width": WIDTH, "height": HEIGHT, "license": 3} for i in image_ids
        ],
        "annotations": [],
        "categories": [{"supercategory": "thing", "id": int(k), "name": f"class {k}"} for k in names],
    }
    found: list[dict] = []
    for image_id in image_ids:
        objects = min(60, int(rng.geometric(1 / 7.5)))
        present = rng.choice(names, min(6, 1 + int(rng.geometric(0.35))), p=frequency)
        labels = rng.choice(present, objects)
        sides = np.minimum(np.exp(rng.normal(4.0, 1.0, (objects, 1)) + rng.normal(0, 0.35, (objects, 2))), 470)
        boxes = np.concatenate([rng.uniform(0, 1, (objects, 2)) * ([WIDTH, HEIGHT] - sides).clip(0), sides], axis=1)
        _annotate(truth["annotations"], image_id, boxes, labels, rng)
        _detect(found, image_id, boxes, labels, present, per_image, rng)
    return truth, found


def _annotate(rows: list, image_id: int, boxes: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
    for box, label in zip(boxes.round(2).tolist(), labels.tolist(), strict=True):
        x, y, width, height = box
        turn = np.linspace(0, 2 * np.pi, int(rng.integers(8, 40)), endpoint=False)
        outline = np.stack([x + width * (0.5 + 0.5 * np.cos(turn)), y + height * (0.5 + 0.5 * np.sin(turn))], axis=1)
        rows.append({
            "segmentation": [outline.ravel().round(2).tolist()], "area": round(0.7854 * width * height, 4),
            "iscrowd": int(rng.random() < 0.012), "image_id": image_id, "bbox": box, "category_id": label,
            "id": len(rows) + 1,
        })  # fmt: skip


def _detect(
    found: list, image_id: int, boxes: np.ndarray, labels: np.ndarray, present: np.ndarray, per_image: int,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    side = np.sqrt(boxes[:, 2] * boxes[:, 3])
    seen = rng.random(len(boxes)) < 1 / (1 + (18 / side) ** 1.5)
    copies = np.where(seen, 1 + rng.poisson(2.5, len(boxes)), 0)
    of = np.repeat(np.arange(len(boxes)), copies)[:per_image]
    first = np.diff(of, prepend=-1) > 0
    noise = rng.standard_t(3, (len(of), 4)) * np.where(first, 0.04, 0.2)[:, None]
    good = boxes[of]
    near = np.concatenate([good[:, :2] + noise[:, :2] * good[:, 2:], good[:, 2:] * np.exp(noise[:, 2:].clip(-2, 2))], 1)
    near_labels = np.where(rng.random(len(of)) < np.where(first, 0.9, 0.6), labels[of], rng.integers(1, 81, len(of)))
    near_scores = np.where(first, rng.beta(4, 2, len(of)), rng.beta(1, 6, len(of)))
    rest = per_image - len(of)
    sides = np.minimum(np.exp(rng.normal(3.7, 1.1, (rest, 1)) + rng.normal(0, 0.4, (rest, 2))), 470)
    far = np.concatenate([rng.uniform(0, 1, (rest, 2)) * ([WIDTH, HEIGHT] - sides), sides], axis=1)
    far_labels = np.where(rng.random(rest) < 0.5, rng.choice(present, rest), rng.integers(1, 81, rest))
    all_boxes = np.concatenate([near, far]).astype(np.float32)
    scores = np.concatenate([near_scores, 0.01 + 0.3 * rng.beta(0.7, 6, rest)]).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    columns = all_boxes[order].tolist(), np.concatenate([near_labels, far_labels])[order].tolist(), scores[order]
    for box, label, score in zip(columns[0], columns[1], columns[2].tolist(), strict=True):
        found.append({"image_id": image_id, "category_id": label, "bbox": box, "score": score})


def write(folder: Path, images: int) -> tuple[Path, Path]:
    """Write the data set and the detections as JSON.

    Args:
        folder: where to.
        images: how many.

    Returns:
        The two files, ``annotations.json`` and ``detections.json``.
    """
    paths = folder / "annotations.json", folder / "detections.json"
    for path, value in zip(paths, realistic(images), strict=True):
        path.write_text(json.dumps(value), encoding="utf-8")
    return paths
