"""The JavaScript of the pages to play with beside `minidet.reference`, function by function.

    python -m tests.site.parity

prints how many numbers were compared and the largest difference, relative to the number itself. Decisions (indices,
right or wrong) and what is made of + - * / and square roots must be equal to the last bit; what goes through exp, log,
a power or a sum of many numbers, which every library rounds in its own way, to 1e-12.
"""

from __future__ import annotations

import inspect
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidet import reference
from minidet.config import AnchorConfig
from minidet.files import write_text
from minidet.reference import average_precision as ap
from minidet.reference import stable

HERE = Path(__file__).parent
MODULE = HERE.parents[1] / "chapters" / "site" / "play" / "minidet.js"
TOLERANCE = 1e-12
"""Relative: exp, log and powers differ by a few 1e-16 between libraries, and a power multiplies that by gamma."""


class Case(NamedTuple):
    """One call of a function in both languages."""

    name: str
    arguments: tuple[Any, ...]
    expected: list[np.ndarray]
    """What the reference returns."""
    exact: bool
    each: bool = False
    """Whether the JavaScript function takes one logit and one target at a time."""


class Compared(NamedTuple):
    """How near the two languages are in all cases of a function."""

    name: str
    numbers: int
    exact: bool
    worst: float
    """Largest relative difference; infinite where something is not there, not a number or infinite in one of them."""

    @property
    def agrees(self) -> bool:
        """Whether the difference is allowed."""
        return self.worst <= (0 if self.exact else TOLERANCE)


def boxes(rng: np.random.Generator, n: int, coarse: int = 1) -> np.ndarray:
    """Boxes at quarters of a pixel or coarser, so that equal IoUs and IoUs at a threshold occur; some of no area."""
    corners = rng.integers(0, 400 // coarse, (n, 2)) * coarse / 4
    return np.concatenate([corners, corners + rng.integers(0, 160 // coarse, (n, 2)) * coarse / 4], axis=1)


def operations() -> Iterator[Case]:
    """Boxes, anchors, assignment, suppression and average precision."""

    def case(function: Callable[..., Any], *arguments: Any, exact: bool = True) -> Case:
        return Case(function.__name__, arguments, _arrays(function(*arguments)), exact)

    for seed, n, m, coarse in ((1, 40, 12, 1), (2, 200, 5, 1), (3, 7, 0, 1), (4, 0, 3, 1), (5, 200, 40, 50)):
        rng = np.random.default_rng(seed)
        some, others = boxes(rng, n, coarse), boxes(rng, m, coarse)
        anchors = some + [0, 0, 8, 8]
        deltas = rng.normal(scale=2, size=(n, 4)) * [1, 1, 3, 3]  # some beyond the clamp
        scores, classes = rng.integers(0, 12, n) / 12, rng.integers(0, 3, n)  # many equal
        yield case(reference.box_area, some)
        yield case(reference.box_iou, some, others)
        yield case(reference.clip_boxes, some - 30, (60, 80))
        yield case(reference.encode_boxes, anchors[::-1], anchors, exact=False)
        yield case(reference.decode_boxes, deltas, anchors, exact=False)
        for force in (False, True):
            yield case(reference.assign_anchors, some, others, 0.5, 0.4, force)
            yield case(reference.assign_anchors, some, others, 0.3, 0.1, force)
        for threshold in (0.0, 0.3, 0.5, 1.0):
            yield case(reference.nms, some, scores, threshold)
            yield case(reference.batched_nms, some, scores, classes, threshold)
        correct = ap.match_detections(some, scores, others, 0.3)
        yield case(ap.match_detections, some, scores, others, 0.3)
        curve = ap.precision_recall(correct, scores, m)
        yield case(ap.precision_recall, correct, scores, m)
        for points in (101, 11, None):
            yield case(ap.average_precision, *curve, points, exact=False)
    for size, scales, ratios in ((32, (1.0, 2 ** (1 / 3), 2 ** (2 / 3)), (0.5, 1.0, 2.0)), (17.5, (1.0,), (0.3, 7.0))):
        yield case(reference.cell_anchors, size, scales, ratios)
    for image_size in ((256, 256), (200, 333), (1, 1)):
        config = AnchorConfig()
        expected = reference.pyramid_anchors(image_size, config)
        yield Case("pyramid_anchors", (image_size, config.to_dict()), _arrays(expected), exact=True)


def losses() -> Iterator[Case]:
    """The cross entropy and the focal loss with both derivatives, from hopeless to perfect examples."""
    steps = np.linspace(-6, 6, 49)
    logits = np.unique(np.concatenate([steps, 10.0**steps, -(10.0**steps), [-700, -50, 50, 700, -np.inf, np.inf]]))
    x, y = np.repeat(logits, 2), np.tile([0, 1], len(logits))
    for suffix, alpha in itertools.product(("", "_grad", "_hess"), (None, 0.25, 1.0)):
        loss = getattr(reference, f"cross_entropy{suffix}")
        yield Case(f"cross_entropy{suffix}", (x, y, alpha), [loss(x, y, alpha)], exact=False, each=True)
        for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
            loss = getattr(reference, f"focal_loss{suffix}")
            expected = [loss(x, y, gamma, alpha)]
            yield Case(f"focal_loss{suffix}", (x, y, gamma, alpha), expected, exact=False, each=True)
    for p in (0.0, 1e-300, 0.01, 0.5, 0.9, 1.0):
        yield Case("logit", (p,), [np.array([stable.logit(p)])], exact=False)


def compare(cases: list[Case], module: Path = MODULE) -> list[Compared]:
    """Run the cases in Node and compare what comes back with what the reference returned.

    Args:
        cases: what to call.
        module: the JavaScript file.

    Returns:
        One entry per function, in the order of the cases.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = [{"name": case.name, "arguments": case.arguments, "each": case.each} for case in cases]
        text = json.dumps(given, default=lambda array: array.tolist())
        path = write_text(Path(folder) / "cases.json", text.replace("Infinity", "1e999"))  # JSON has no infinity
        command = ["node", str(HERE / "parity.js"), str(module), str(path)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Compared] = {}
    for case, returned in zip(cases, json.loads(run.stdout), strict=True):
        theirs = list(returned.values()) if isinstance(returned, dict) else returned
        worst = _difference(case.expected, theirs)
        numbers = sum(array.size for array in case.expected)
        before = found.get(case.name, Compared(case.name, 0, case.exact, 0.0))
        found[case.name] = before._replace(numbers=before.numbers + numbers, worst=max(before.worst, worst))
    return list(found.values())


def table(found: list[Compared]) -> str:
    """The comparison for the terminal."""
    lines = [f"{'function':20}{'numbers':>9}{'allowed':>9}{'largest difference':>20}"]
    lines += [
        f"{one.name:20}{one.numbers:9,}{'0' if one.exact else f'{TOLERANCE:.0e}':>9}{one.worst:20.1e}"
        + ("" if one.agrees else "   too far")
        for one in found
    ]
    return "\n".join(lines)


def _arrays(value: Any) -> list[np.ndarray]:
    """What a function returned as a list of arrays: several where it returned several."""
    several = isinstance(value, (tuple, list))
    return [np.asarray(array, np.float64) for array in (value if several else [value])]


def _difference(expected: list[np.ndarray], returned: Any) -> float:
    """The largest relative difference of two results; infinite where their shapes are not the same."""
    if len(expected) == 1:
        returned = [returned]
    worst = 0.0
    for ours, value in zip(expected, returned, strict=True):
        theirs = np.array(value, np.float64)  # "Infinity", which JSON does not have, becomes infinite here
        if theirs.size == ours.size == 0:
            continue
        if theirs.size != ours.size:
            return np.inf
        same = (theirs.ravel() == ours.ravel()) | (np.isnan(theirs.ravel()) & np.isnan(ours.ravel()))
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.abs(theirs.ravel() - ours.ravel()) / np.abs(ours.ravel())
        worst = max(worst, float(np.where(same, 0, np.where(np.isfinite(apart), apart, np.inf)).max()))
    return worst


def main() -> int:
    """Print the table; 1 where something differs by more than it may."""
    if shutil.which("node") is None:
        sys.exit("node is needed to run the JavaScript: install Node.js and run this again")
    found = compare([*operations(), *losses()])
    print(inspect.cleandoc(__doc__).partition("\n")[0], end="\n\n")
    print(table(found))
    return 0 if all(one.agrees for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
