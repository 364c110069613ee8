"""Area, IoU, offsets and clipping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidet import compiled, pytorch, reference
from tests.ops import GOLDEN, random_boxes

ULP = {np.float32: 2.0**-23, np.float64: 2.0**-52}
BOX = st.tuples(*[st.floats(-1e3, 1e3)] * 2, *[st.floats(0, 1e3)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
BOXES = st.lists(BOX, max_size=8).map(lambda rows: np.array(rows, np.float64).reshape(-1, 4))


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "boxes.npz")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_iou_is_torchvisions(ops, golden):
    np.testing.assert_allclose(ops.box_iou(golden["boxes1"], golden["boxes2"]), golden["iou"], rtol=0, atol=1e-12)


def test_offsets_are_torchvisions(ops, golden):
    deltas = ops.encode_boxes(golden["gt"], golden["anchors"])
    np.testing.assert_allclose(deltas, golden["deltas"], rtol=0, atol=1e-12)


def test_decoded_boxes_are_torchvisions(ops, golden):
    decoded = ops.decode_boxes(golden["wild_deltas"], golden["anchors"])
    np.testing.assert_allclose(decoded, golden["decoded"], rtol=1e-12, atol=1e-9)  # boxes of up to 1e4 pixels


def test_by_hand(ops):
    boxes = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 8], [1, 1, 1, 1]])
    np.testing.assert_array_equal(ops.box_area(boxes), [4, 4, 3, 0])
    np.testing.assert_array_equal(
        ops.box_iou(boxes[:1], boxes),
        [[1, 2 / 6, 0, 0]],  # the intersection is 1 x 2, the union 4 + 4 - 2
    )
    np.testing.assert_array_equal(ops.clip_boxes(np.array([[-5.0, 3, 7, 99]]), (10, 6)), [[0, 3, 6, 10]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_paths_agree(ops, rng, dtype):
    a, b = random_boxes(rng, 200, dtype=dtype), random_boxes(rng, 200, dtype=dtype)
    few = 4 * ULP[dtype]
    np.testing.assert_array_equal(ops.box_iou(a, b), reference.box_iou(a, b))
    np.testing.assert_array_equal(ops.box_area(a), reference.box_area(a))
    np.testing.assert_array_equal(ops.clip_boxes(a, (150, 120)), reference.clip_boxes(a, (150, 120)))
    deltas = reference.encode_boxes(a, b)
    np.testing.assert_allclose(ops.encode_boxes(a, b), deltas, rtol=few, atol=few * np.abs(deltas).max())
    boxes = reference.decode_boxes(deltas, b)
    np.testing.assert_allclose(ops.decode_boxes(deltas, b), boxes, rtol=few, atol=few * np.abs(boxes).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_are_kept(ops, rng, dtype):
    a = random_boxes(rng, 3, dtype=dtype)
    for result in (
        ops.box_area(a),
        ops.box_iou(a, a),
        ops.encode_boxes(a, a),
        ops.decode_boxes(a, a),
        ops.clip_boxes(a, (9, 9)),
    ):
        assert result.dtype == dtype


def test_integer_boxes_become_float64(ops):
    assert ops.box_iou(np.array([[0, 0, 4, 4]]), np.array([[0, 0, 4, 2]])) == 0.5
    assert ops.box_area(np.array([[0, 0, 3, 5]])).dtype == np.float64


@given(BOXES, BOXES)
def test_iou_is_symmetric_and_bounded(ops, a, b):
    iou = ops.box_iou(a, b)
    assert iou.shape == (len(a), len(b))
    assert ((iou >= 0) & (iou <= 1)).all()
    np.testing.assert_array_equal(iou, ops.box_iou(b, a).T)


@given(BOXES, st.integers(-64, 64), st.integers(-8, 8))
def test_iou_does_not_change_with_scale_or_shift(ops, boxes, shift, exponent):
    """Powers of two and boxes on a grid of quarter pixels keep every step exact, so equality is exact too."""
    boxes = np.round(boxes * 4) / 4
    np.testing.assert_array_equal(ops.box_iou(boxes, boxes), ops.box_iou(boxes + shift, boxes + shift))
    np.testing.assert_array_equal(ops.box_iou(boxes, boxes), ops.box_iou(boxes * 2.0**exponent, boxes * 2.0**exponent))


@given(st.lists(st.tuples(*[st.floats(-500, 500)] * 2, *[st.floats(1, 800)] * 2), min_size=2, max_size=2))
def test_decoding_undoes_encoding(ops, corners):
    box, anchor = (np.array([[x, y, x + w, y + h]]) for x, y, w, h in corners)
    deltas = ops.encode_boxes(box, anchor)
    if (deltas[:, 2:] < np.log(1000 / 16)).all():
        np.testing.assert_allclose(ops.decode_boxes(deltas, anchor), box, rtol=0, atol=1e-11 * 2000)


def test_growth_is_clamped(ops):
    anchor = np.array([[0.0, 0, 16, 16]])
    side = np.diff(ops.decode_boxes(np.array([[0.0, 0, 50, 800]]), anchor)[0, [0, 2]])
    np.testing.assert_allclose(side, 1000, rtol=1e-12)


def test_no_area_has_no_overlap(ops):
    points = np.array([[1.0, 1, 1, 1], [0, 0, 0, 4], [0, 0, 4, 4]])
    expected = np.zeros((3, 3))
    expected[2, 2] = 1
    np.testing.assert_array_equal(ops.box_iou(points, points), expected)


def test_huge_and_tiny_boxes(ops):
    boxes = np.array([[0, 0, 1e60, 1e60], [0, 0, 1e60, 5e59], [0, 0, 1e-60, 1e-60]])
    np.testing.assert_array_equal(ops.box_iou(boxes, boxes).diagonal(), 1)
    np.testing.assert_allclose(ops.box_iou(boxes[:1], boxes[1:2]), 0.5)


def test_empty(ops):
    none, one = np.zeros((0, 4)), np.array([[0.0, 0, 1, 1]])
    assert ops.box_area(none).shape == (0,)
    assert ops.box_iou(none, one).shape == (0, 1)
    assert ops.box_iou(one, none).shape == (1, 0)
    for result in (ops.encode_boxes(none, none), ops.decode_boxes(none, none), ops.clip_boxes(none, (4, 4))):
        assert result.shape == (0, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_iou_has_a_finite_gradient(dtype):
    """Two boxes of no area have IoU 0 and gradient 0, a point and a line alike; elsewhere it is the derivative."""
    flat = torch.tensor([[0, 0, 0, 0], [0, 0, 4, 0], [2, 1, 2, 5]], dtype=dtype, requires_grad=True)
    others = torch.tensor([[0, 0, 0, 0], [0, 0, 4, 0], [2, 1, 2, 5], [0, 0, 4, 4]], dtype=dtype, requires_grad=True)
    iou = pytorch.box_iou(flat, others)
    assert not iou.any()
    for gradient in torch.autograd.grad(iou[:, :3].sum(), (flat, others), retain_graph=True):
        assert not gradient.any()
    for gradient in torch.autograd.grad(iou.sum(), (flat, others)):
        assert gradient.isfinite().all()
    rng = np.random.default_rng(0)
    some, more = (torch.from_numpy(random_boxes(rng, n, extent=60)).requires_grad_() for n in (5, 7))
    assert torch.equal(pytorch.box_iou(some, more), pytorch.box_iou(some.detach(), more.detach()))
    assert torch.autograd.gradcheck(pytorch.box_iou, (some, more))


@pytest.mark.errors
@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (np.array([[0.0, 0, 1, 1], [3, 0, 2, 1]]), r"boxes1\[1\] = \(3, 0, 2, 1\) is inverted"),
        (np.array([[0.0, 0, np.nan, 1]]), r"boxes1\[0\] = \(0, 0, nan, 1\) is not finite"),
        (np.array([[0.0, 0, np.inf, 1]]), r"boxes1\[0\] .* is not finite"),
        (np.zeros((3, 5)), r"boxes1 has shape \(3, 5\): boxes are \(N, 4\)"),
        (np.zeros(4), r"boxes1 has shape \(4,\)"),
    ],
)
def test_bad_boxes(ops, boxes, message):
    with pytest.raises(ValueError, match=message):
        ops.box_iou(boxes, np.array([[0.0, 0, 1, 1]]))


@pytest.mark.errors
def test_bad_offsets(ops):
    one, two = np.array([[0.0, 0, 1, 1]]), np.array([[0.0, 0, 1, 1], [2, 2, 2, 4]])
    with pytest.raises(ValueError, match=r"boxes has 1 rows and anchors has 2|has no area"):
        ops.encode_boxes(one, two)
    with pytest.raises(ValueError, match=r"anchors\[1\] = \(2, 2, 2, 4\) has no area"):
        ops.encode_boxes(two[[0, 0]], two)
    with pytest.raises(ValueError, match=r"deltas\[0\] = \(0, nan, 0, 0\) is not finite"):
        ops.decode_boxes(np.array([[0, np.nan, 0, 0]]), one)
    with pytest.raises(ValueError, match="deltas has 1 rows and anchors has 2"):
        ops.decode_boxes(np.zeros((1, 4)), two)
    with pytest.raises(ValueError, match=r"image_size\[0\] \(height\) = 0"):
        ops.clip_boxes(one, (0, 4))


def in_another_order_of_bytes(array):
    return array.astype(array.dtype.newbyteorder())


def that_nobody_may_write_to(array):
    array.flags.writeable = False
    return array


def backwards(array):
    return array[::-1].copy()[::-1]


@pytest.mark.parametrize("path", [reference, compiled, pytorch])
@pytest.mark.parametrize("form", [in_another_order_of_bytes, that_nobody_may_write_to, backwards, np.asfortranarray])
def test_arrays_as_other_programs_leave_them(path, form):
    """Read from a file, mapped into memory, turned: the same numbers, without a warning, and unchanged."""
    boxes, labels = np.array([[0.0, 0, 4, 4], [1, 1, 5, 5], [2, 0, 4, 9]]), np.array([0, -1, 1])
    logits = np.linspace(-2, 2, 6).reshape(3, 2)
    given = [form(array.copy()) for array in (boxes, boxes[:, 0], labels, logits)]
    before = [array.copy() for array in given]
    np.testing.assert_array_equal(path.box_iou(given[0], given[0]), path.box_iou(boxes, boxes))
    np.testing.assert_array_equal(path.nms(given[0], given[1]), path.nms(boxes, boxes[:, 0]))
    ours, wanted = path.dense_focal_loss(given[3], given[2]), path.dense_focal_loss(logits, labels)
    for one, other in zip(*(found if isinstance(found, tuple) else (found,) for found in (ours, wanted)), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(given, before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.errors
@pytest.mark.parametrize("path", [reference, compiled])
def test_a_tensor_with_a_gradient_is_refused_by_name(path):
    """Its gradient would be lost; without one it is taken."""
    boxes = torch.tensor([[0.0, 0, 4, 4]], requires_grad=True)
    for call, name in (
        (lambda one: path.box_iou(one, [[0, 0, 4, 4]]), "boxes1"),
        (lambda one: path.focal_loss(one, np.zeros((1, 4), int)), "logits"),
    ):
        with pytest.raises(ValueError, match=rf"{name} cannot be made an array: .*detach\(\)"):
            call(boxes)
        call(boxes.detach())
