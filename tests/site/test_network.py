"""The glass detector's page computes what `minidet.reference` does, and a mistake in its JavaScript is found."""

from __future__ import annotations

import re
import shutil

import pytest

from chapters.site import build
from minidet.files import write_text
from tests.site import network

pytestmark = [
    pytest.mark.slow,
    pytest.mark.subprocess,
    pytest.mark.skipif(shutil.which("node") is None, reason="node, which runs the JavaScript, is not installed"),
]
HELPERS = {"map", "windows", "products", "LAST", "targets", "last_gradients", "sgd"}
"""What the scripts offer beside the functions that are compared; all are used in these."""


@pytest.fixture(scope="module")
def cases():
    return [*network.layer_cases(), *network.objective_cases(), *network.network_cases()]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return build.pages(tmp_path_factory.mktemp("site"))


def test_the_digits_are_those_of_the_reference(cases, pages):
    found = network.compare(cases, pages)
    assert all(one.agrees for one in found), network.table(found)
    for name in ("layers", "objective"):
        text = (pages / f"{name}.js").read_text(encoding="utf-8")
        (offered,) = re.findall(r"  return \{([\w\s,]+)\};\n\}\)\(", text)
        assert set(re.findall(r"\w+", offered)) <= HELPERS | {one.name for one in found}


@pytest.mark.parametrize(
    ("file", "right", "wrong", "name"),
    [
        ("layers", "const y = i * stride + u - padding", "const y = i * stride + u", "conv2d"),
        ("layers", "found[w] += g0 * data[x0 + i] +", "found[w] -= g0 * data[x0 + i] +", "conv2d_grad_weight"),
        ("layers", "data[i] > 0 ? grad.data[i] : 0", "data[i] >= 0 ? grad.data[i] : 0", "relu_grad"),
        ("layers", "if (best < 0 || data[place]", "if (best < 0 && data[place]", "max_pool2d"),
        ("layers", "Math.floor(j * width / columns)", "Math.round(j * width / columns)", "upsample_nearest"),
        ("layers", "- z.data[i] * along", "+ z.data[i] * along", "group_norm_grad"),
        ("network", "Math.max(e, 1) - 25", "e - 25", "halves"),
        ("network", "/ 255 - mean[c]", "/ 256 - mean[c]", "forward"),
        ("network", "collect(x, g); collect(y, g);", "collect(x, g);", "backward"),
        ("objective", "logit > least", "logit >= 0", "postprocess"),
        ("objective", "box_weight * smooth_l1_grad", "smooth_l1_grad", "detection_loss"),
        ("objective", "w[i] -= learning_rate", "w[i] += learning_rate", "training"),
    ],
)  # fmt: skip
def test_a_mistake_is_found(file, right, wrong, name, cases, pages, tmp_path):
    source = (pages / f"{file}.js").read_text(encoding="utf-8")
    assert source.count(right) == 1
    broken = shutil.copytree(pages, tmp_path / "broken")
    write_text(broken / f"{file}.js", source.replace(right, wrong))
    (found,) = network.compare([case for case in cases if case.name == name], broken)
    assert not found.agrees
