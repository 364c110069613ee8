"""Why some of the faults that `tests.mutants` plants are not found: nobody could see them."""

_SIGN = "du/dx is 1 or -1, and to divide by it is to multiply by it"
_LENGTH = "NumPy takes -2, as -1, for the length that is to be found"
_SMALL = "wherever p counts and is not 1, u is small, and less than a unit in the last place is lost"
_EQUAL = "where |d| is beta, both branches give the same"
_NOT_TAKEN = "it divides only where beta is 0, and what comes out is not taken"
_HALVES = "times any number near 2**27 it leaves halves so short that their products are exact"
_COLUMNS = "of four columns, the last but one and the last are 2 and 3"
_LENGTHS = "lists of different lengths have been refused before"

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
    "reference/anchors.py cell_anchors: 1 -> 2 (2)": _LENGTH,
    "reference/anchors.py pyramid_anchors: 1 -> 2 (2)": _LENGTH,
    "reference/nms.py nms: 0 -> -1 (3)": "the IoU of one box with others has one row: the first one is the last",
}
