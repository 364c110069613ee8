"""The pages to play with show the digits of `minidet.reference`, and a mistake in their JavaScript is found."""

from __future__ import annotations

import re
import shutil

import pytest

from minidet.files import write_text
from tests.site import parity

pytestmark = [
    pytest.mark.subprocess,
    pytest.mark.skipif(shutil.which("node") is None, reason="node, which runs the JavaScript, is not installed"),
]
SOURCE = parity.MODULE.read_text(encoding="utf-8")
HELPERS = {
    "BACKGROUND", "IGNORED", "PAPER_ANCHORS",  # numbers
    "intersection", "iou", "grids", "sigmoid", "softplus", "by_score", "nms_steps", "envelope_of",  # in the others
}  # fmt: skip
"""What the module offers beside the functions of `minidet.reference`."""


@pytest.fixture(scope="module")
def cases():
    return [*parity.operations(), *parity.losses()]


def test_the_digits_are_those_of_the_reference(cases):
    found = parity.compare(cases)
    assert all(one.agrees for one in found), parity.table(found)
    (offered,) = re.findall(r"  return \{\n(.*?)\n  \};\n\}\)", SOURCE, re.DOTALL)
    assert set(re.findall(r"\w+", offered)) == HELPERS | {one.name for one in found}


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("(gamma * (p * L) + s) * sign", "(gamma * (p * L) + s) * -sign", "focal_loss_grad"),
        ("Math.log1p(Math.exp(-Math.abs(v)))", "Math.log(1 + Math.exp(-Math.abs(v)))", "focal_loss"),
        ("s: sigmoid(u), p", "s: 1 - sigmoid(-u), p", "cross_entropy_grad"),
        ("(2 * gamma + 1) * p * s", "(2 * gamma - 1) * p * s", "focal_loss_hess"),
        ("overlap <= iou_threshold ||", "overlap < iou_threshold ||", "nms"),
        ("scores[j] - scores[i] || i - j", "scores[j] - scores[i] || j - i", "batched_nms"),
        ("overlap >= most", "overlap > most", "match_detections"),
        ("best >= positive_iou ||", "best > positive_iou ||", "assign_anchors"),
        ("k * (1 / (points - 1))", "k / points", "average_precision"),
        ("const root = Math.sqrt(ratio)", "const root = 1 / Math.sqrt(ratio)", "cell_anchors"),
        ("return union > 0 ? shared / union : 0", "return shared / union", "box_iou"),
    ],
)  # fmt: skip
def test_a_mistake_is_found(right, wrong, name, cases, tmp_path):
    assert SOURCE.count(right) == 1
    broken = write_text(tmp_path / "broken.js", SOURCE.replace(right, wrong))
    (found,) = parity.compare([case for case in cases if case.name == name], broken)
    assert not found.agrees
