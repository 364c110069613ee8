"""The training loss: which one, and its numbers (sections 3, 4.1 and 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

from minidet import checks
from minidet.config.settings import Settings

LOSSES = ("focal", "cross_entropy", "balanced_cross_entropy", "focal_star", "hinge", "ohem", "ohem_1_3")
"""The losses of the classes that the paper compares; `minidet.pytorch.objective` computes them."""
OHEM_RATIOS = {"ohem": None, "ohem_1_3": 3}
"""Those that sample, and their negatives per positive."""
OHEM_CHOICES = {
    "ohem_hardness": ("class", "sum"), "ohem_suppresses": ("anchors", "predictions"),
    "ohem_box_loss": ("assigned", "chosen"), "ohem_divisor": ("assigned", "batch"),
}  # fmt: skip
"""The settings that the paper leaves open, and what each can be."""


@dataclass(frozen=True)
class LossConfig(Settings):
    """The training loss: one of LOSSES for the classes, smooth L1 for the boxes (sections 3, 4.1 and 5.1)."""

    kind: str = "focal"
    """One of LOSSES. "focal" and "focal_star" use gamma and alpha, "balanced_cross_entropy" alpha alone (Table 1a: 0.75
    is best), the others neither."""
    gamma: float = 2.0
    """Focusing parameter of equation 4."""
    alpha: float | None = 0.25
    """Weight of the positives in equation 5, where 1 - alpha is that of the negatives; with None both weights are 1."""
    beta: float = 1.0
    """What FL* adds to gamma * x_t (appendix A)."""
    margin: float = 0.5
    """Value of p_t above which the hinge loss is 0."""
    ohem_batch_size: int = 128
    """Anchors per image that OHEM keeps (Table 1d: 128 with an IoU of 0.5 is the best of those tried)."""
    ohem_iou_threshold: float = 0.5
    """IoU above which OHEM's non-maximum suppression drops an anchor."""
    ohem_hardness: str = "class"
    """What OHEM ranks anchors by: "class", the loss of their classes, or "sum", with box_weight times that of their
    boxes. The paper says "its loss"; this setting and the next three are what it leaves open."""
    ohem_suppresses: str = "anchors"
    """The boxes that its suppression compares: "anchors", or "predictions", what the network makes of them."""
    ohem_box_loss: str = "assigned"
    """Whose boxes are learnt: those of all "assigned" anchors, or of the "chosen" ones among them."""
    ohem_divisor: str = "assigned"
    """What both sums are divided by: the number of "assigned" anchors, or "batch", ohem_batch_size for each image."""
    box_weight: float = 1.0
    """Factor of the smooth L1 loss in the sum."""
    smooth_l1_beta: float = 1.0
    """Where smooth L1 turns from quadratic to linear: 1 is Fast R-CNN's, 0.11 Detectron's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("kind", self.kind, LOSSES)
        for name, choices in OHEM_CHOICES.items():
            checks.choice(name, getattr(self, name), choices)
        checks.gamma_alpha(self.gamma, self.alpha)
        checks.number("beta", self.beta)
        checks.integer("ohem_batch_size", self.ohem_batch_size, low=1)
        for name in ("margin", "ohem_iou_threshold"):
            checks.number(name, getattr(self, name), low=0, high=1)
        for name in ("box_weight", "smooth_l1_beta"):
            checks.number(name, getattr(self, name), low=0)
        if self.kind == "ohem_1_3" and self.ohem_batch_size < 4:
            raise ValueError(f"ohem_batch_size = {self.ohem_batch_size} has no room for 1 positive and 3 negatives")
