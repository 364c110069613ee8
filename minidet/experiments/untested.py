"""Claims of the paper that no run of the small setting can test, with the reason."""

from __future__ import annotations

from typing import NamedTuple


class Untested(NamedTuple):
    """A claim, and why it is not tested."""

    section: str
    text: str
    published: str
    """The paper's numbers."""
    reason: str
    tables: tuple[str, ...] = ()
    """Tables under which it is printed."""


_COCO = "it is about COCO, with eight GPUs and a backbone from ImageNet"
_OTHERS = "it compares with other detectors, of which none is trained here"
_NEVER_RUN = "the setting that it is about was never run here"

UNTESTED = (
    Untested("abstract", "A one-stage detector is more accurate than all published ones", "39.1; next 36.8",
             _OTHERS, ("2",)),
    Untested("abstract", "It is as fast as other one-stage detectors", "39.1 AP at 5 fps", _OTHERS),
    Untested("Table 2", "ResNeXt-101 is more accurate than ResNet-101", "40.8 against 39.1", _COCO, ("2",)),
    Untested("Table 2", "It is 5.9 AP above DSSD and 2.3 above the best two-stage detector",
             "39.1, 33.2, 36.8", _OTHERS, ("2",)),
    Untested("Figure 2", "For any AP above 25 it is the upper envelope of all detectors", "no numbers",
             _OTHERS, ("1e",)),
    Untested("section 5.2", "RetinaNet-101-600 is as accurate as Faster R-CNN with FPN and faster",
             "122 against 172 ms", _OTHERS, ("1e",)),
    Untested("section 5.2", "A deeper backbone is more accurate", "+1.4 to +2.1",
             _COCO + "; one depth alone is run here", ("1e",)),
    Untested("section 5.2", "A larger image is more accurate", "30.5 to 35.7",
             "at 128 pixels only 65 % of our objects reach an anchor, at 192 96 %, so that two things vary at once",
             ("1e", "1e-small")),
    Untested("section 5.2", "ResNet-50 is the better choice at high frame rates alone, from 500 pixels down",
             "no numbers", _COCO, ("1e",)),
    Untested("section 5.3", "Scale jitter and half as many steps more give 1.3 AP", "39.1 against 37.8", _COCO, ("2",)),
    Untested("section 4", "A pyramid is needed: from the last layer alone the AP is low", "no numbers", _NEVER_RUN),
    Untested("section 4", "P6 and P7 keep the accuracy, and P7 helps large objects", "no numbers",
             "our images are too small for levels above 5"),
    Untested("section 4", "A deep class subnet of 3 x 3 convolutions, apart from the box subnet, matters", "no numbers",
             _NEVER_RUN),
    Untested("section 4", "Boxes that know no class are equally effective", "no numbers", _NEVER_RUN),
    Untested("section 3.2", "The focal loss with α is slightly better than without", "no numbers", _NEVER_RUN, ("1b",)),
    Untested("section 5.1", "γ matters more than α, of which the best are between .25 and .75", "no numbers",
             "it takes a grid of both, of which two columns are run here", ("1b",)),
    Untested("section 3.3", "The sigmoid inside the loss is numerically more stable", "no numbers",
             "it is about arithmetic: figures/results/benchmark_accuracy.json has the digits"),
    Untested("Figure 4, left", "At γ = 0 the distributions of the positive and of the negative loss are similar",
             "no numbers", "it is about a converged detector, and ours still improves"),
    Untested("section 1", "The imbalance of the classes is the main obstacle of one-stage detectors", "no numbers",
             "it is the sum of the others"),
    Untested("section 3.2", "Any other loss of a similar shape works equally well", "no numbers",
             "a claim about all losses; Table 3 and Figure 7 have some", ("3",)),
)  # fmt: skip
"""Those that are not about the loss's formula, which tests hold."""
