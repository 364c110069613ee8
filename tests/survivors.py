"""Why some of the faults that `tests.mutants` plants are not found: nobody could see them."""

_SIGN = "du/dx is 1 or -1, and to divide by it is to multiply by it"

REASONS: dict[str, str] = {
    "reference/losses.py cross_entropy_grad: sigmoid(e.u) * e.du_dx -> sigmoid(e.u) / e.du_dx": _SIGN,
    "reference/losses.py focal_loss_grad: s ** gamma * (gamma * (p * loss) + s) * e.du_dx"
    " -> s ** gamma * (gamma * (p * loss) + s) / e.du_dx": _SIGN,
    "reference/losses.py hinge_loss_grad: s * p * e.du_dx -> s * p / e.du_dx": _SIGN,
    "reference/anchors.py cell_anchors: 1 -> 2 (2)": "NumPy takes -2, as -1, for the length that is to be found",
    "reference/nms.py nms: 0 -> -1 (3)": "the IoU of one box with others has one row: the first one is the last",
}
