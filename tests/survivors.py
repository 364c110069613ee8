"""Why some of the faults that `tests.mutants` plants are not found: what they change cannot be seen, or hardly."""

_SIGN = "du/dx is 1 or -1, and to divide by it is to multiply by it"
_LENGTH = "NumPy and Numba take -2, as -1, for the length that is to be found"
_SMALL = "wherever p counts and is not 1, u is small, and less than a unit in the last place is lost"
_EQUAL = "where |d| is beta, both branches give the same"
_NOT_TAKEN = "it divides only where beta is 0, and what comes out is not taken"
_HALVES = "times any number near 2**27 it leaves halves so short that their products are exact"
_GRID = "it moves the grid or its cells, which costs time alone: what lies outside is filed at the edge"
_MARGIN = "the margin covers rounding, but for boxes of 1e9 pixels whose IoU is at the threshold to the last digit"
_BOUND = "a cell beside it gives a lower bound: more are compared"
_SLOWER = "the general power gives the same, only slower"
_CHECKED = "what seems misshapen is checked thoroughly, and found right"
_ORDER = "the order 0 asks for the value, as any number does but 1; the value does not look at the slope"
_COLUMNS = "of four columns, the last but one and the last are 2 and 3"
_WORK = "how much work a call is only decides whether other threads are woken for it"
_AS_FLOATS = "the bounds are the same as floating-point numbers, for which the kernel is compiled once more"
_AGAIN = "what other tasks do is done once more, with the same results"
_TOUCHING = "boxes that only touch are looked at too, and have an IoU of 0"
_TWICE = "what is no normal number is rounded twice, and the second rounding may change its last digit"
_LENGTHS = "lists of different lengths have been refused before"

HARDLY_SEEN = frozenset({_GRID, _BOUND, _SLOWER, _CHECKED, _MARGIN, _WORK, _AS_FLOATS, _AGAIN, _TOUCHING, _TWICE})
"""Reasons of faults that do change something: the time, or what comes of extreme boxes."""
REASONS: dict[str, str] = {
    "reference/losses.py cross_entropy_grad: sigmoid(e.u) * e.du_dx -> sigmoid(e.u) / e.du_dx": _SIGN,
    "reference/losses.py focal_loss_grad: s ** gamma * (gamma * (p * loss) + s) * e.du_dx"
    " -> s ** gamma * (gamma * (p * loss) + s) / e.du_dx": _SIGN,
    "reference/losses.py hinge_loss_grad: s * p * e.du_dx -> s * p / e.du_dx": _SIGN,
    "reference/star.py focal_loss_star_grad: sigmoid(v, lost) * e.du_dx -> sigmoid(v, lost) / e.du_dx": _SIGN,
    "reference/regression.py smooth_l1: size < beta -> size <= beta": _EQUAL,
    "reference/regression.py smooth_l1: 1 -> 2": _NOT_TAKEN,
    "reference/regression.py smooth_l1_grad: np.abs(d) < beta -> np.abs(d) <= beta": _EQUAL,
    "reference/regression.py smooth_l1_grad: 1 -> 2": _NOT_TAKEN,
    "reference/softmax.py softmax_focal_loss_grad: -lost -> lost": _SMALL,
    "reference/softmax.py _examples: 0 -> 1": "only the label's own difference, which is left out, may be above 0",
    "reference/stable.py sigmoid: v >= 0 -> v > 0": "at 0 both branches are exp(-0) = 1",
    "reference/stable.py _halves: 2.0 ** 27 + 1 -> 2.0 ** 27 - 1": _HALVES,
    "reference/stable.py _halves: 2.0 ** 27 + 1 -> 2.0 ** 27": _HALVES,
    "reference/stable.py _halves: 1 -> 2": _HALVES,
    "reference/stable.py _halves: 1 -> 0": _HALVES,
    "reference/overlap.py pairs: k + 2 -> k - 2": _COLUMNS,
    "reference/overlap.py pairs: k + 2 -> k - 2 (2)": _COLUMNS,
    "reference/postprocess.py postprocess: True -> False": _LENGTHS,
    "reference/postprocess.py postprocess: True -> False (2)": _LENGTHS,
    "compiled/assignment.py _assign_block: np.zeros -> np.ones (2)": "an anchor's object is taken only where it "
    "overlaps one, and then it has been written",
    "compiled/forced.py _best_iou: 3 -> 2 (2)": _BOUND,
    "compiled/boxes.py box_iou: dtype if dtype == np.float32 else np.float64 -> np.float64 if dtype == np.float32"
    " else dtype": "rounding to float32 at the end gives the same; of half precision Numba has no kernels",
    "compiled/boxes.py _encode: k + 2 -> k - 2": _COLUMNS,
    "compiled/boxes.py decode_boxes: -len(out) // _BLOCK -> -len(out) / _BLOCK": _AS_FLOATS,
    "compiled/boxes.py _decode: first * _BLOCK -> first": _AGAIN,
    "compiled/assignment.py _apart: x2 <= around[0] -> x2 < around[0]": _TOUCHING,
    "compiled/assignment.py _apart: y2 <= around[1] -> y2 < around[1]": _TOUCHING,
    "compiled/dense32.py _exp_wide: 87.33654 -> 86.33654 (3)": "a factor as small as exp(-86) meets one smaller still, "
    "and their product is 0 in single precision",
    "compiled/dense32.py _general: u < _0 -> u <= _0 (2)": "where u is 0, both branches give 0",
    "compiled/dense32.py _block_loss: 1 -> 2 (2)": _LENGTH,
    "compiled/losses.py focal: -lost -> lost": _SMALL,
    "compiled/losses.py _dense_loop: total += 0.0 if x[i, k] == x[i, k] else x[i, k]"
    " -> total -= 0.0 if x[i, k] == x[i, k] else x[i, k]": "what is added is 0 or NaN",
    "compiled/losses.py _dense_loop: 0 -> -1": _ORDER,
    "compiled/postprocess.py _best_of_level: 2 -> 3": _CHECKED,
    "compiled/quality.py _elementwise: 5 -> 6": _WORK,
    "compiled/vectors.py exp_of: 1021.0 -> 1022.0": _TWICE,
    "compiled/vectors.py exp_of: 1021.0 -> 1020.0": "both products are exact until the result is no normal number",
    "compiled/vectors.py log_of: x < _LEAST_NORMAL -> x <= _LEAST_NORMAL": "both ways are exact there",
    "compiled/stable.py decay: 0.0 -> 1.0": "of a number below 1, less than a unit in the last place is lost",
    "compiled/stable.py power: 1.0 -> 0.0 (2)": _SLOWER,
    "compiled/nms.py batched_nms: 1 -> 2 (2)": "a border may be any number that is no class",
    "compiled/nms.py _suppress: x1 + w / 2 - low_x -> low_x": _GRID,
    "compiled/nms.py _suppress: 1e-15 * (abs(y1) + abs(y2)) -> 1e-15": _MARGIN,
    "compiled/nms.py _suppress: 0 -> -1 (2)": "a box of no area has an IoU of 0 with any",
    "compiled/nms.py _grid: 4 * total -> 4": _GRID,
    "compiled/nms.py _grid: 1024 -> 1025": _GRID,
    "compiled/nms.py _core: 8 -> 7": _GRID,
    "compiled/nms.py _core: abs(centre - mean) <= away -> abs(centre - mean) < away": _GRID,
    "compiled/nms.py _core: 0.9 * count -> 0.9 / count": _GRID,
    "compiled/nms.py _centre: axis + 2 -> axis - 2": _COLUMNS,
    "reference/anchors.py cell_anchors: 1 -> 2 (2)": _LENGTH,
    "reference/anchors.py pyramid_anchors: 1 -> 2 (2)": _LENGTH,
    "reference/nms.py nms: 0 -> -1 (3)": "the IoU of one box with others has one row: the first one is the last",
}
