"""The glass detector's JavaScript beside `minidet.reference`: layers, network, loss, training of the last layers.

    python -m tests.site.network

prints how many numbers were compared and the largest difference, relative to the largest number of an array.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chapters.site import build, glass
from minidet.config import LossConfig, PostprocessConfig, RetinaNetConfig, TrainingConfig
from minidet.files import write_text
from minidet.reference import layers, pyramid_anchors, smooth_l1, smooth_l1_grad
from minidet.reference.network import RetinaNet
from minidet.reference.objective import detection_loss
from minidet.reference.postprocess import postprocess
from minidet.reference.training import sgd
from minidet.structures import GroundTruth

HERE = Path(__file__).parent
TOLERANCE = 1e-12
"""Sums of up to 1152 products, each rounded by 1e-16, in about thirty layers one after the other; measured: 4e-15."""


class Case(NamedTuple):
    """One call in both languages."""

    name: str
    arguments: tuple[Any, ...]
    expected: list[np.ndarray]
    """What the reference returns."""
    tolerance: float = TOLERANCE


class Compared(NamedTuple):
    """How near the two languages are in all cases of a function."""

    name: str
    numbers: int
    tolerance: float
    worst: float
    """Largest difference relative to the largest number of the array; infinite where the numbers of values differ."""

    @property
    def agrees(self) -> bool:
        """Whether the difference is allowed."""
        return self.worst <= self.tolerance


def as_map(array: np.ndarray) -> dict[str, Any]:
    """An array as the JavaScript has it: its shape, and its numbers in a row."""
    return {"shape": list(array.shape), "data": array.ravel().tolist()}


def layer_cases() -> Iterator[Case]:
    """Every layer and its gradient, for odd and even sizes, strides and borders."""
    rng = np.random.default_rng(0)
    for c, o, h, w, k, stride, padding in ((3, 5, 9, 8, 3, 1, 1), (2, 4, 11, 7, 7, 2, 3), (6, 3, 4, 5, 1, 2, 0)):
        x, weight, bias = rng.normal(size=(c, h, w)), rng.normal(size=(o, c, k, k)), rng.normal(size=o)
        how = (stride, padding)
        y = layers.conv2d(x[None], weight, bias, *how)[0]
        yield Case("conv2d", (as_map(x), as_map(weight), bias, *how), [y])
        grad = rng.normal(size=y.shape) * (rng.random(y.shape) < 0.6)  # zeros are skipped
        given = as_map(grad), as_map(x), as_map(weight), *how
        yield Case("conv2d_grad_x", given, [layers.conv2d_grad_x(grad[None], x[None], weight, *how)])
        yield Case("conv2d_grad_weight", given, [layers.conv2d_grad_weight(grad[None], x[None], weight, *how)])
    for shape in ((8, 5, 6), (16, 1, 3)):
        x, again = rng.normal(size=shape).round(1), rng.normal(size=shape)  # rounded: equal maxima and zeros occur
        weight, bias, mean, var = rng.normal(size=(4, shape[0]))
        var = var**2
        yield Case("relu", (as_map(x),), [layers.relu(x)])
        yield Case("relu_grad", (as_map(again), as_map(layers.relu(x))), [layers.relu_grad(again, x)])
        yield Case("add", (as_map(x), as_map(again)), [x + again])
        pooled = layers.max_pool2d(x[None])
        back = rng.normal(size=pooled.shape[1:])
        yield Case("max_pool2d", (as_map(x),), [pooled])
        distinct = rng.permutation(x.size).reshape(shape) / 7.0
        given = as_map(back), as_map(distinct)
        yield Case("max_pool2d_grad", given, [layers.max_pool2d_grad(back[None], distinct[None])])
        large = layers.upsample_nearest(x[None], (9, 7))
        yield Case("upsample_nearest", (as_map(x), (9, 7)), [large])
        back = rng.normal(size=large.shape[1:])
        yield Case(
            "upsample_nearest_grad", (as_map(back), as_map(x)), [layers.upsample_nearest_grad(back[None], x[None])]
        )
        normed = layers.frozen_batch_norm(x[None], weight, bias, mean, var, 1e-3)
        yield Case("frozen_batch_norm", (as_map(x), weight, bias, mean, var, 1e-3), [normed])
        normed = layers.frozen_batch_norm_grad(again[None], weight, var, 1e-3)
        yield Case("frozen_batch_norm_grad", (as_map(again), weight, var, 1e-3), [normed])
        yield Case("group_norm", (as_map(x), 4, weight, bias), [layers.group_norm(x[None], 4, weight, bias)])
        grads = layers.group_norm_grad(again[None], x[None], 4, weight)
        yield Case("group_norm_grad", (as_map(again), as_map(x), 4, weight), [grads[0]])
    bits = np.arange(0, 2**16, 7, dtype=np.uint16)
    bits = bits[(bits >> 10) & 31 < 31]
    yield Case("halves", (bits,), [bits.view(np.float16).astype(np.float64)], 0)


def objective_cases() -> Iterator[Case]:
    """Detections, and the loss with its gradients, with and without objects."""
    rng, size = np.random.default_rng(1), (64, 90)
    config = RetinaNetConfig.tiny(num_classes=3, postprocess=PostprocessConfig(max_per_level=40, max_detections=30))
    anchors = pyramid_anchors(size, config.anchors)
    logits = [rng.normal(-2, 2, (len(level), 3)) for level in anchors]
    deltas = [rng.normal(0, 0.4, (len(level), 4)) for level in anchors]
    for settings in (config.postprocess, PostprocessConfig(score_threshold=0.4), PostprocessConfig(score_threshold=1)):
        found = postprocess(logits, deltas, anchors, size, settings)
        rows = np.column_stack([found.boxes, logit_of(found.scores), found.classes])
        yield Case("postprocess", (logits, deltas, anchors, size, settings.to_dict()), [rows])
    p, t = rng.normal(size=(2, 50))
    for beta in (1.0, 0.11, 0.0):
        yield Case("smooth_l1", (p, t, beta), [smooth_l1(p, t, beta)])
        yield Case("smooth_l1_grad", (p, t, beta), [smooth_l1_grad(p, t, beta)])
    training = TrainingConfig(loss=LossConfig(box_weight=2.0, smooth_l1_beta=0.11))
    for boxes in (np.array([[4, 5, 30, 28], [40, 20, 88, 60.0], [5, 6, 33, 30]]), np.zeros((0, 4))):
        truth = GroundTruth(boxes, np.arange(len(boxes)), np.zeros(len(boxes), bool))
        outputs = [x[None] for x in logits], [d[None] for d in deltas]
        found, *grads = detection_loss(*outputs, anchors, [truth], config, training)
        given = (logits, deltas, anchors, boxes, truth.classes, config.to_dict(), training.loss.to_dict())
        parts = [np.array([value]) for value in found] + [np.concatenate(grad, axis=1) for grad in grads]
        yield Case("detection_loss", given, parts)


def logit_of(scores: np.ndarray) -> np.ndarray:
    """The logits of scores that are not near 0 or 1."""
    return np.log(scores) - np.log1p(-scores)


def network_cases() -> Iterator[Case]:
    """The package's detector on two images: its weights, outputs, the way back, and five steps of the last layers."""
    settings, arrays = glass.detector()
    config = RetinaNetConfig.from_dict({**settings["model"], "norm": "frozen"})
    loss = TrainingConfig(loss=LossConfig.from_dict(settings["training"]["loss"]))
    in_order = sorted(arrays.items(), key=lambda item: -item[1].itemsize)
    yield Case("weights", (), [array.astype(np.float64) for _, array in in_order], 0)
    sample = glass.UNSEEN[glass.SHOWN[0]]
    for image, boxes, classes in ((sample.image, sample.boxes, sample.classes), (sample.image[:75, :90], [], [])):
        size = image.shape[:2]
        net = RetinaNet(config)
        net.load(arrays)
        x = (((image / 255) - config.mean) / config.std).transpose(2, 0, 1)[None]
        canvas = np.dstack([image, np.full(size, 255, np.uint8)]).ravel()
        logits, deltas = net.forward(x)
        yield Case("forward", (canvas, size), [*logits, *deltas])
        rng = np.random.default_rng(2)
        back = [[rng.normal(size=level.shape) for level in part] for part in (logits, deltas)]
        pixels = net.backward(*back, images=True)["images"]
        yield Case("backward", (canvas, size, *([grad[0] for grad in part] for part in back)), [pixels])
        truth = GroundTruth(np.reshape(boxes, (-1, 4)), np.array(classes, np.int64), np.zeros(len(boxes), bool))
        anchors, losses, velocity = pyramid_anchors(size, config.anchors), [], {}
        last = [f"{subnet}.output.{of}" for subnet in ("class_subnet", "box_subnet") for of in ("weight", "bias")]
        for _ in range(5):
            found, *grads = detection_loss(*net.forward(x), anchors, [truth], config, loss)
            losses.append([found.classification, found.box])
            whole = net.backward(*grads)
            sgd(net.state, {name: whole[name] for name in last}, 0.05, 0.9, 0.0, velocity)
        given = (canvas, size, truth.boxes, truth.classes, 5, 0.05, 0.9)
        yield Case("training", given, [np.array(losses), *(net.state[name] for name in last)])


def compare(cases: list[Case], folder: Path) -> list[Compared]:
    """Run the cases in Node and compare what comes back with what the reference returned.

    Args:
        cases: what to call.
        folder: of the pages.

    Returns:
        One entry per function, in the order of the cases.
    """
    text = json.dumps(
        [{"name": case.name, "arguments": case.arguments} for case in cases], default=lambda a: a.tolist()
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = write_text(Path(scratch) / "cases.json", text)
        command = ["node", str(HERE / "network.js"), str(folder), str(path)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Compared] = {}
    for case, returned in zip(cases, json.loads(run.stdout), strict=True):
        before = found.get(case.name, Compared(case.name, 0, case.tolerance, 0.0))
        worst = max(_difference(*pair) for pair in zip(case.expected, returned, strict=True))
        numbers = sum(array.size for array in case.expected)
        found[case.name] = before._replace(numbers=before.numbers + numbers, worst=max(before.worst, worst))
    return list(found.values())


def table(found: list[Compared]) -> str:
    """The comparison for the terminal."""
    lines = [f"{'function':24}{'numbers':>11}{'allowed':>9}{'largest difference':>20}"]
    lines += [
        f"{one.name:24}{one.numbers:11,}{one.tolerance:9.0e}{one.worst:20.1e}{'' if one.agrees else '   too far'}"
        for one in found
    ]
    return "\n".join(lines)


def _difference(expected: np.ndarray, returned: list[float | None]) -> float:
    theirs = np.array(returned, np.float64)  # null, which stands for NaN and infinity, becomes NaN
    if theirs.size != expected.size:
        return np.inf
    apart = np.abs(theirs - expected.ravel()).max(initial=0)
    return float(np.nan_to_num(apart / (np.abs(expected).max(initial=0) or 1), nan=np.inf))


def main() -> int:
    """Print the table; 1 where something differs by more than it may."""
    if shutil.which("node") is None:
        sys.exit("node is needed to run the JavaScript: install Node.js and run this again")
    with tempfile.TemporaryDirectory() as folder:
        found = compare([*layer_cases(), *objective_cases(), *network_cases()], build.pages(Path(folder)))
    print(table(found))
    return 0 if all(one.agrees for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
