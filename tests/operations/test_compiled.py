"""What only the compiled path promises: the same result for any number of threads, and plain Python on demand."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numba
import numpy as np
import pytest

from minidet import compiled, reference
from minidet.compiled.arrays import descending
from minidet.compiled.grid import _slack, reach
from minidet.compiled.jit import compiler
from minidet.compiled.nms import _grid, _reach
from minidet.config import AnchorConfig, PostprocessConfig
from tests.ops import random_boxes

ROOT = Path(__file__).parents[2]
EVERYTHING = """
import numpy as np
from minidet import compiled, reference
from minidet.config import AnchorConfig, PostprocessConfig
rng = np.random.default_rng(0)
corner = rng.uniform(0, 60, (9, 2))
boxes = np.concatenate([corner, corner + rng.uniform(4, 40, (9, 2))], axis=1)
config = AnchorConfig(levels=(4, 5), sizes=(16, 32), scales=(1,))
x, y, labels = rng.normal(0, 3, (5, 4)), rng.integers(0, 2, (5, 4)), np.array([-2, -1, 0, 3, 1])
for dtype in (np.float32, np.float64):
    b, v = boxes.astype(dtype), x.astype(dtype)
    few = 1e-6 if dtype == np.float32 else 1e-12
    for name in ("cross_entropy", "focal_loss", "focal_loss_star", "hinge_loss"):
        for what in ("", "_grad"):
            ours, wanted = getattr(compiled, name + what), getattr(reference, name + what)
            np.testing.assert_allclose(ours(v, y), wanted(v, y), rtol=few)
    for gamma in (2.0, 1.3):
        ours, wanted = compiled.dense_focal_loss(v, labels, gamma), reference.dense_focal_loss(v, labels, gamma)
        np.testing.assert_allclose(ours[0], wanted[0], rtol=few)
        np.testing.assert_allclose(ours[1], wanted[1], rtol=few)
    np.testing.assert_allclose(
        compiled.softmax_focal_loss_grad(v, labels % 4), reference.softmax_focal_loss_grad(v, labels % 4), rtol=few
    )
    np.testing.assert_array_equal(compiled.box_iou(b, b), reference.box_iou(b, b))
    np.testing.assert_array_equal(compiled.nms(b, v[0].repeat(3)[:9]), reference.nms(b, v[0].repeat(3)[:9]))
    for force in (False, True):
        arguments = ((70, 70), b, config, 0.5, 0.4, force)
        np.testing.assert_array_equal(compiled.assign_pyramid(*arguments), reference.assign_pyramid(*arguments))
        arguments = (b[:4], b[4:], 0.3, 0.2, force)
        np.testing.assert_array_equal(compiled.assign_anchors(*arguments), reference.assign_anchors(*arguments))
print("all equal")
"""


def test_without_the_compiler():
    """NUMBA_DISABLE_JIT=1 runs every kernel as plain Python, with the same results."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "error", "-c", EVERYTHING]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "all equal", result.stderr


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core")
def test_the_number_of_threads_changes_nothing():
    rng = np.random.default_rng(1)
    x, labels = rng.normal(-3, 3, (20_000, 11)), rng.integers(-2, 11, 20_000)
    boxes = random_boxes(rng, 3000)

    def results() -> list[np.ndarray]:
        dense = [*compiled.dense_focal_loss(x, labels, 1.7), *compiled.dense_focal_loss(x.astype(np.float32), labels)]
        assigned = compiled.assign_anchors(boxes[:2500], boxes[2500:], force_match=True)
        return [*dense, assigned, compiled.box_iou(boxes, boxes[:200])]

    before = numba.get_num_threads()
    many = results()
    try:
        numba.set_num_threads(1)
        one = results()
    finally:
        numba.set_num_threads(before)
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a, b)
    assert numba.get_num_threads() == before


@pytest.mark.parametrize(
    "operation",
    [
        lambda boxes, deltas: compiled.box_iou(boxes, boxes[:100]),
        lambda boxes, deltas: compiled.encode_boxes(boxes, boxes),
        lambda boxes, deltas: compiled.decode_boxes(deltas, boxes),
        lambda boxes, deltas: compiled.pyramid_anchors((600, 600), AnchorConfig(levels=(3,), sizes=(16,)))[0],
    ],
)
def test_what_is_returned_is_not_copied_first(operation):
    """Nothing as large as the result is made beside it."""
    boxes = random_boxes(np.random.default_rng(3), 20_000)
    deltas = boxes / 1000
    size = operation(boxes, deltas).nbytes
    tracemalloc.start()
    try:
        operation(boxes, deltas)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size <= peak < 1.5 * size


@pytest.mark.slow
def test_pytorch_keeps_its_number_of_threads():
    """Numba and PyTorch share one OpenMP, in which starting threads sets a number for the whole process."""
    code = """
import torch
torch.set_num_threads(1)
import numpy as np
from minidet import compiled
compiled.box_iou([[0, 0, 4, 4]], [[0, 0, 4, 4]])
compiled.dense_focal_loss(np.zeros((2, 2), np.float32), np.array([0, 1]))
print(torch.get_num_threads())
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "1"


def test_where_nothing_can_be_kept_on_disk_it_still_compiles():
    """A function without a file has no place for a cache, like one in a folder that nobody may write to."""
    namespace: dict = {}
    exec("def double(x):\n    return 2 * x", namespace)
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(namespace["double"])
    assert compiler()(namespace["double"])(21) == 42


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_descending_is_a_stable_sort(dtype):
    rng = np.random.default_rng(2)
    special = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45])
    for scores in (rng.normal(size=3000), np.round(rng.normal(size=3000), 1), special, np.zeros(0)):
        values = scores.astype(dtype)
        np.testing.assert_array_equal(descending(values), np.argsort(-values, kind="stable"))


def random_config(rng: np.random.Generator) -> AnchorConfig:
    levels = tuple(range(2, 2 + rng.integers(1, 5)))
    settings = {
        "levels": levels, "sizes": tuple(float(rng.choice([6, 12.5, 32, 100])) for _ in levels),
        "scales": tuple(rng.choice([0.5, 1, 2 ** (1 / 3), 3], rng.integers(1, 3))),
        "aspect_ratios": tuple(rng.choice([0.25, 0.5, 1, 3], rng.integers(1, 4))),
    }  # fmt: skip
    return AnchorConfig.torchvision(**settings) if rng.random() < 0.3 else AnchorConfig(**settings)


@pytest.mark.parametrize("seed", range(150))
def test_a_grid_of_anchors_is_its_anchors(seed):
    """The shortcut through the grid decides exactly as the reference, on boxes made to be awkward for it."""
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    image_size = tuple(int(v) for v in rng.integers(1, 120, 2))
    anchors = np.concatenate(reference.pyramid_anchors(image_size, config))
    kinds = [
        random_boxes(rng, 6, extent=120),
        np.round(random_boxes(rng, 6, extent=120)),  # on grid lines
        anchors[rng.integers(0, len(anchors), 4)],  # an anchor itself
        anchors[rng.integers(0, len(anchors), 4)] * 0.5,
        np.tile(random_boxes(rng, 1, extent=100), (3, 1)),  # the same box again and again
        random_boxes(rng, 2) * 1e-3 + 50,  # tiny
        np.array(
            [[-1e5, -1e5, 1e5, 1e5], [-40.0, 3, 300, 9], [500, 500, 600, 600], [10, 10, 10, 30]]
        ),  # huge, thin, out
    ]
    chosen = [kind for kind in kinds if rng.random() < 0.5]
    boxes = np.concatenate([np.zeros((0, 4)), *chosen]).astype(rng.choice([np.float32, np.float64]))
    thresholds = [(0.5, 0.4), (0.5, 0.5), (0.7, 0.3), (1.0, 0.0), (0.1, 0.05), (1e-6, 0.0)][rng.integers(0, 6)]
    for force in (False, True):
        arguments = (image_size, boxes, config, *thresholds, force)
        np.testing.assert_array_equal(compiled.assign_pyramid(*arguments), reference.assign_pyramid(*arguments))


@pytest.mark.parametrize("force", [False, True])
def test_a_large_grid_is_decided_in_bands(force):
    """Boxes that reach over several bands of rows, ties among them, and thresholds so low that most cells count."""
    rng = np.random.default_rng(4)
    image_size, config = (420, 500), AnchorConfig()
    anchors = np.concatenate(reference.pyramid_anchors(image_size, config))
    boxes = np.concatenate([random_boxes(rng, 12, extent=500), anchors[::4001], [[0, 0, 500, 420], [40, 2, 48, 418]]])
    for gts in (boxes, np.concatenate([boxes, boxes])[::-1]):
        for thresholds in ((0.5, 0.4), (1e-3, 0.0)):
            arguments = (image_size, gts, config, *thresholds, force)
            np.testing.assert_array_equal(compiled.assign_pyramid(*arguments), reference.assign_pyramid(*arguments))


@pytest.mark.parametrize("threshold", [0.05, 0.45, 0.5, 0.55, 0.9, 0.999])
def test_suppression_at_the_farthest_that_boxes_may_be_apart(threshold):
    """Pairs made to reach a threshold: same sides, one within the other, shifted along one axis or both."""
    rng = np.random.default_rng(5)
    side = rng.uniform(1, 100, (400, 2))
    corner = rng.uniform(0, 3000, (400, 2))
    near = threshold * rng.uniform(0.98, 1.02, 400)
    shift = side * np.array([[1, 0], [0, 1]])[rng.integers(0, 2, 400)] * ((1 - near) / (1 + near))[:, None]
    shrunk = side * np.array([[1, 0], [0, 1]])[rng.integers(0, 2, 400)] * (1 - np.minimum(near, 1))[:, None]
    first = np.concatenate([corner, corner + side], axis=1)
    shifted = np.concatenate([corner + shift, corner + shift + side], axis=1)
    inner = np.concatenate([corner + shrunk, corner + side], axis=1)
    for boxes in (np.concatenate([first, shifted]), np.concatenate([first, inner]), np.concatenate([inner, first])):
        scores = rng.normal(size=len(boxes))
        kept = compiled.nms(boxes, scores, threshold)
        np.testing.assert_array_equal(kept, reference.nms(boxes, scores, threshold))
        assert 400 < len(kept) < len(boxes)


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_single_precision_to_the_last_normal_number(gamma):
    """Every part of the range of float32, with the numbers about the least exponential that is normal one by one."""
    edge = np.float32(-87.3365)
    steps = np.arange(-40, 40, dtype=np.int32) + edge.view(np.int32)
    x = np.concatenate([np.linspace(-100, 100, 200_003), np.linspace(-1, 1, 50_001)]).astype(np.float32)
    x = np.concatenate([x, steps.view(np.float32), -steps.view(np.float32), np.float32([3.4e38, -3.4e38, 1e-45, 0])])
    _, grad = compiled.dense_focal_loss(x[:, None], np.full(len(x), -1), gamma, None)
    exact = reference.focal_loss_grad(x.astype(np.float64), np.zeros(len(x)), gamma, None)
    tiny = float(np.finfo(np.float32).tiny) * (1 + 1e-5)  # what is less than normal, all but a few bits, may become 0
    normal = exact > tiny
    assert np.isfinite(grad).all()
    np.testing.assert_allclose(grad[normal, 0], exact[normal], rtol=1e-6)
    assert (grad[~normal] >= 0).all()
    assert (grad[~normal] <= tiny).all()
    for one in x[::2000]:
        loss, _ = compiled.dense_focal_loss(np.array([[one]]), np.array([-1]), gamma, None)
        wanted = reference.focal_loss(np.array([one], np.float64), np.zeros(1), gamma, None)[0]
        np.testing.assert_allclose(loss, wanted, rtol=1e-6, atol=0 if wanted > tiny else tiny)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, 1), (2, 3)])
def test_a_nan_is_found_where_it_has_no_weight(place, alpha):
    """Among background, on an ignored anchor, in the entry of the object and beside it."""
    x = np.zeros((3, 4), np.float32)
    x[place] = np.nan
    with pytest.raises(ValueError, match=rf"logits\[{place[0]}, {place[1]}\] = nan"):
        compiled.dense_focal_loss(x, np.array([-1, -2, 1]), 2.0, alpha)


@pytest.mark.parametrize("seed", [0, 1, 2, 1314, *(pytest.param(s, marks=pytest.mark.slow) for s in range(3, 60))])
def test_suppression_on_awkward_boxes(seed):
    """Mixed scales, ties, hundreds of identical boxes, none of area, far apart, thresholds touched exactly.

    Every other time with a quarter of the boxes: the reference takes as long as there are boxes to keep.
    """
    rng = np.random.default_rng(seed)
    many = 25 if seed % 2 else 100
    kinds = [
        random_boxes(rng, 2 * many),
        np.round(random_boxes(rng, 2 * many) / 8) * 8,
        random_boxes(rng, many) * 1e4,
        random_boxes(rng, many) * 1e-4,
        np.tile(random_boxes(rng, 1), (4 * many, 1)),
        np.repeat(rng.uniform(0, 100, (20, 2)), 2, axis=0).reshape(20, 4)[:, [0, 1, 0, 1]],  # points
        np.array([[0.0, 0, 1e6, 1], [0, 0, 1, 1e6], [5, 5, 5, 80]]),
    ]
    chosen = [kind for kind in kinds if rng.random() < 0.6]
    boxes = np.concatenate([np.zeros((0, 4)), *chosen])
    scores = rng.integers(0, 50, len(boxes)).astype(np.float64)
    classes = rng.integers(0, 4, len(boxes))
    for threshold in (0.0, 0.3, 0.5, 1.0):
        np.testing.assert_array_equal(compiled.nms(boxes, scores, threshold), reference.nms(boxes, scores, threshold))
        np.testing.assert_array_equal(
            compiled.batched_nms(boxes, scores, classes * 70_000, threshold),
            reference.batched_nms(boxes, scores, classes, threshold),
        )


def test_many_candidates_are_selected_before_they_are_sorted():
    """Thousands of equal scores at the cut: the first ones in order stay, as in the reference."""
    rng = np.random.default_rng(3)
    anchors = [random_boxes(rng, 900)]
    logits = [np.round(rng.normal(-1, 1, (900, 6)))]
    deltas = [rng.normal(0, 0.1, (900, 4))]
    config = PostprocessConfig(max_per_level=500, max_detections=400)
    expected = reference.postprocess(logits, deltas, anchors, (300, 300), config)
    found = compiled.postprocess(logits, deltas, anchors, (300, 300), config)
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=1e-12, atol=1e-9)


LOADED = """
import sys
import numba, numpy as np
from minidet.compiled import boxes
some = np.array([[0.0, 0, 2, 3], [1, 1, 2, 2]])
def areas(some):
    return boxes.box_area(some).tolist()
assert areas(some) == [6, 1]
tables = "numba.misc.cffiimpl"  # one of the modules that Numba imports before it compiles
print(len(boxes._areas.stats.cache_hits), tables in sys.modules)
kernel = boxes._areas
new = numba.njit(lambda some: kernel(some) + 1)  # what is compiled later may call what was loaded
assert new(some).tolist() == [7, 2] and tables in sys.modules
"""


@pytest.mark.slow
@pytest.mark.subprocess
def test_machine_code_on_disk_is_loaded_without_the_compiler(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for printed in ("0 True", "1 False"):
        command = [sys.executable, "-W", "error", "-c", LOADED]
        result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.stdout.strip() == printed, result.stderr


@numba.njit
def the_grid(boxes):
    return _grid(boxes, 0, len(boxes))


@numba.njit
def the_reach(side, longest, threshold):
    return _reach(side, longest, threshold)


def scattered(n=4000, side=10.0, extent=2000.0):
    """Boxes spread evenly, about as many as squares of 30 pixels would be."""
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, extent, (n, 2))
    return np.concatenate([corner, corner + rng.uniform(0.5, 1.5, (n, 2)) * side], axis=1)


def far(boxes, few, axes=(1, 1)):
    """The first few of some boxes elsewhere, a million times as far away as they are wide, in several directions."""
    rng = np.random.default_rng(4)
    moved = boxes.copy()
    moved[:few] += np.tile(rng.normal(0, 1e7, (few, 2)) * axes, 2)
    return moved


@pytest.mark.parametrize(
    ("boxes", "most"),
    [
        (scattered(), 2.3), (scattered() + 3e6, 2.3), (scattered() - [1e6, 4e6, 1e6, 4e6], 2.3),
        (1e-4 * scattered(), 2.3), (1e5 * scattered(), 2.3), (far(scattered(), 1), 2.3),
        (far(scattered(), 1) + 3e6, 2.3), (far(scattered() + [5e4, 0, 5e4, 0], 40, [1, 0]), 2.6),
        (far(scattered(), 200), 6), (1e-4 * far(scattered(), 40), 2.6),  # what is far is filed at the edge
        (np.concatenate([scattered(), [[0, 0, 4000, 4000]]]), 2.3), (scattered(2) * [1, 1000, 1, 1000], 1.0),
    ],
)  # fmt: skip
def test_nms_looks_up_few_boxes_wherever_they_are(boxes, most):
    """Its grid has about as many cells as boxes and few boxes in one, which is what makes it fast; no time is taken."""
    low_x, low_y, scale, columns, rows, widest, highest, margin = the_grid(boxes)
    sides, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
    assert (widest, highest) == tuple(sides.max(axis=0))
    assert columns * rows <= 2 * len(boxes) + 2
    place = np.clip(((centres - [low_x, low_y]) * scale).astype(int), 0, [columns - 1, rows - 1])
    in_cell = np.bincount(place[:, 1] * columns + place[:, 0])
    met = (in_cell.astype(float) ** 2).sum() / len(boxes)  # itself and, where boxes are spread evenly, one other
    assert met <= most
    assert 0 < margin < 0.01


def test_nms_has_cells_as_large_as_the_average_box_where_boxes_are_crowded():
    boxes = scattered(extent=20.0)
    _, _, scale, columns, rows, *_ = the_grid(boxes)
    assert 1 / scale == pytest.approx((boxes[:, 2:] - boxes[:, :2]).mean())
    assert max(columns, rows) <= 4


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.95, 1.0])
@pytest.mark.parametrize("longest", [12.0, 15.0, 1e6])
def test_nms_looks_as_far_as_it_must_and_no_farther(threshold, longest):
    """Along one axis, beside the farthest of all partners whose IoU is at the threshold."""
    side = 12.0
    others = np.append(np.geomspace(side * threshold, min(longest, side / threshold), 2001), side)
    overlap = threshold / (1 + threshold) * (side + others)
    farthest = ((side + others) / 2 - overlap).max()
    assert the_reach(side, longest, threshold) == pytest.approx(farthest, rel=1e-9, abs=1e-9)
    assert the_reach(side, longest, 0.0) == (side + longest) / 2


@numba.njit
def the_rectangle(cell, place, gt, iou):
    return reach(cell, place, 0.5, gt, iou), (_slack(place[0]), _slack(place[1]))


def test_assignment_looks_at_the_anchors_that_overlap_enough_and_at_no_others():
    """Along each axis, where the other one is as good as it can be."""
    rng = np.random.default_rng(6)
    for _ in range(400):
        half, size = np.exp(rng.uniform(0, 4, (2, 2)))
        corner = rng.uniform(-40, 240, 2)
        place, iou = np.array([rng.integers(1, 40), rng.integers(1, 40), 8, 16]), rng.choice([0.1, 0.4, 0.5, 0.9])
        cell, gt = np.concatenate([-half, half]), np.concatenate([corner, corner + size])
        ranges, slack = the_rectangle(tuple(cell), place, tuple(gt), iou)
        least, shorter = iou / (1 + iou) * (4 * half.prod() + size.prod()), np.minimum(2 * half, size)
        hopeless = (least / shorter[::-1] > shorter).any()
        for axis, (first, stop) in ((1, ranges[0]), (0, ranges[1])):
            count, stride, few = place[1 - axis], place[3 - axis], slack[1 - axis] * place[3 - axis]
            centre = (np.arange(count) + 0.5) * stride
            overlap = np.minimum(centre + cell[axis + 2], gt[axis + 2]) - np.maximum(centre + cell[axis], gt[axis])
            needed = least / shorter[1 - axis]
            found = (np.arange(count) >= first) & (np.arange(count) < stop)
            assert not (found & (overlap < needed - 1.01 * few)).any()
            assert hopeless or found[overlap > needed + 1.01 * few].all()
