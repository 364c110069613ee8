"""Claims of the paper that no run of the small setting can test, with the reason."""

from __future__ import annotations

from typing import NamedTuple

from minidet.experiments.claim import Claim
from minidet.experiments.verdicts import NOT_TESTABLE, Finding


class Untested(NamedTuple):
    """A claim, and why it is not tested."""

    numbers: tuple[int, ...]
    """Which of the paper's 52 claims it is."""
    section: str
    text: str
    published: str
    """The paper's numbers."""
    reason: str
    tables: tuple[str, ...] = ()
    """Tables under which it is printed."""

    def claim(self) -> Claim:
        """The claim, which no runs change."""
        found = Finding(self.reason, settled=NOT_TESTABLE)
        return Claim(self.section, self.text, self.published, self.tables, self.numbers, lambda _: found)


_COCO = "it is about COCO: minidet experiments run TABLE --preset paper trains it, given GPUs"
_OTHERS = "it compares with other detectors, of which none is trained here"

UNTESTED = (
    Untested((2,), "abstract", "A one-stage detector is more accurate than all published ones", "39.1; next 36.8",
             _OTHERS, ("2",)),
    Untested((3,), "abstract", "It is as fast as other one-stage detectors", "39.1 AP at 5 fps", _OTHERS),
    Untested((4,), "Table 2", "ResNeXt-101 is more accurate than ResNet-101", "40.8 against 39.1", _COCO, ("2",)),
    Untested((41,), "Table 2", "It is 5.9 AP above DSSD and 2.3 above the best two-stage detector",
             "39.1, 33.2, 36.8", _OTHERS, ("2",)),
    Untested((5,), "Figure 2", "For any AP above 25 it is the upper envelope of all detectors", "no numbers",
             _OTHERS, ("1e",)),
    Untested((38,), "section 5.2", "RetinaNet-101-600 is as accurate as Faster R-CNN with FPN and faster",
             "122 against 172 ms", _OTHERS, ("1e",)),
    Untested((39,), "section 5.2", "ResNet-50 is the better choice at high frame rates alone, from 500 pixels down",
             "no numbers", _COCO, ("1e",)),
    Untested((49,), "section 4", "P6 and P7 keep the accuracy, and P7 helps large objects", "no numbers",
             "our images are too small for levels above 5"),
    Untested((51,), "section 4", "Boxes that know no class are equally effective", "no numbers",
             "no path predicts boxes class by class"),
    Untested((47,), "section 3.2", "Any other loss of a similar shape works equally well", "no numbers",
             "a claim about all losses; Table 3 and Figure 7 have some", ("3",)),
)  # fmt: skip
"""All of them."""
