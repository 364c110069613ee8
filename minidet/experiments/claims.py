"""The paper's claims, and how our runs judge each.

Those that no run of the small setting can test are listed in `untested`, with the reason.
"""

from __future__ import annotations

import math

from minidet.experiments import evidence, measurements, rows, untested
from minidet.experiments import published as paper
from minidet.experiments.claim import Claim
from minidet.experiments.results import Results
from minidet.experiments.verdicts import Verdict, about_as_good, better, decided, every, fails


def judged(results: Results) -> list[tuple[Claim, Verdict]]:
    """Every claim with its verdict, corrected for the number of claims."""
    return list(zip(CLAIMS, decided([claim.find(results) for claim in CLAIMS]), strict=True))


TESTED = (
    Claim(
        "section 5.1", "Cross entropy without the prior (π = .5) does not train under plain SGD; with π = .01 it does",
        "diverged; AP 30.2", ("pi",), (11, 12),
        lambda r: fails(r, rows.prior("ce", 0.5), rows.prior("ce", 0.01)),
    ),
    Claim(
        "section 4.1", "The focal loss does not train without the prior either",
        "no numbers", ("pi",), (10,),
        lambda r: fails(r, rows.prior("fl", 0.5), rows.prior("fl", 0.01)),
    ),
    Claim(
        "section 3.3, our reading",
        "Failing without the prior is about plain SGD: under AdamW, gradients clipped, π = .5 is as good as π = .01",
        "not in the paper", ("pi",), (),
        lambda r: about_as_good(r, rows.prior("ce-adamw", 0.5), rows.prior("ce-adamw", 0.01), above=math.inf),
    ),
    Claim(
        "section 5.1", "Results are insensitive to the exact π, from .1 to .001",
        "π = .01 everywhere", ("pi",), (13,),
        evidence.every_prior,
    ),
    Claim(
        "Table 1a", "Cross entropy that favours the background (α = .1) finds nothing",
        "AP 0.0, against 31.1 for α = .75", ("1a",), (15,),
        lambda r: fails(r, rows.ce(0.1), rows.ce(0.75)),
    ),
    Claim(
        "Table 1a", "Cross entropy with α = .75 is better than with α = .5",
        f"+{paper.BALANCED_GAIN}", ("1a",), (14,),
        lambda r: better(r, rows.ce(0.75), rows.ce(0.5)),
    ),
    Claim(
        "Table 1a", "Cross entropy with α = .25 is worse than with α = .75",
        "10.8 against 31.1", ("1a",), (16,),
        lambda r: better(r, rows.ce(0.75), rows.ce(0.25)),
    ),
    Claim(
        "Table 1a", "Cross entropy with α = .999 is worse than with α = .75",
        "25.1 against 31.1", ("1a",), (15,),
        lambda r: better(r, rows.ce(0.75), rows.ce(0.999)),
    ),
    Claim(
        "Table 1b", "The focal loss (γ = 2, α = .25) is better than the best cross entropy of any α",
        f"+{paper.FOCAL_GAIN}", ("1a", "1b"), (17,),
        lambda r: evidence.better_than_all(r, rows.FL, evidence.CE_ALPHAS),
    ),
    Claim(
        "Table 1b", "It is robust to γ: each of .5, 1, 2, 5 is better than the best cross entropy",
        "+1.1 to +2.9", ("1b",), (20,),
        evidence.every_gamma,
    ),
    Claim(
        "Table 1b", "AP rises with γ up to γ = 2",
        "31.1, 31.4, 31.9, 32.9, 33.7, 34.0", ("1b",), (18,),
        evidence.rising_gamma,
    ),
    Claim(
        "Table 1b", "The focal loss with γ = 2 is better than with γ = 5",
        "34.0 against 32.2", ("1b",), (19,),
        lambda r: better(r, rows.FL, rows.fl(5.0)),
    ),
    Claim(
        "section 5.1", "At γ = 2, α = .5 is nearly as good as α = .25",
        f"-{paper.ALPHA_HALF_LOSS}", ("1b",), (23,),
        lambda r: about_as_good(r, rows.fl_alpha(0.5), rows.FL, above=math.inf),
    ),
    Claim(
        "Table 1b", "A larger γ wants a smaller α: at γ = 2, α = .25 is better than α = .75",
        "best α .75 at γ = 0, .25 at γ = 2", ("1b",), (21,),
        lambda r: better(r, rows.FL, rows.fl_alpha(0.75)),
    ),
    Claim(
        "Table 1c", "One square anchor per cell is surprisingly good already: at least 80 % of the AP of nine",
        "30.3 of 34.0", ("1c",), (32,),
        evidence.one_anchor, evidence.reached_objects,
    ),
    Claim(
        "Table 1c", "Three scales and three ratios are better than one square anchor",
        "+3.7", ("1c",), (33,),
        lambda r: better(r, rows.FL, rows.anchors(1, 1)), evidence.reached_objects,
    ),
    Claim(
        "Table 1c", "From six anchors per cell on nothing more is gained",
        "34.2, 34.0, 33.8", ("1c",), (34,),
        evidence.saturation,
    ),
    Claim(
        "Table 1d", "The focal loss is better than the best setting of OHEM",
        f"+{paper.OHEM_GAP}", ("1d",), (27, 52),
        lambda r: evidence.better_than_all(r, rows.FL, evidence.OHEM),
        lambda r: evidence.otherwise(r, rows.RIVALS.ohem, evidence.OHEM),
    ),
    Claim(
        "Table 1d", "OHEM is better without the ratio of 1:3, with each batch size",
        "32.8, 31.0, 27.6 against 31.1, 28.3, 24.0", ("1d",), (28,),
        evidence.no_ratio,
    ),
    Claim(
        "Table 1d", "With an NMS threshold of .5, small batches are better than large ones",
        "32.8 and 27.6; 31.1 and 24.0", ("1d",), (29,),
        evidence.small_ohem_batches,
    ),
    Claim(
        "Table 1d", "A small batch wants an NMS threshold of .5, a middle one .7",
        "32.8 against 31.1; 31.8 against 31.0", ("1d",), (30,),
        evidence.ohem_thresholds,
    ),
    Claim(
        "section 5.1", "The hinge loss on p_t gives nothing meaningful",
        "no numbers", ("hinge",), (31,),
        lambda r: every(fails(r, rows.hinge(margin), rows.FL) for margin in rows.HINGE_MARGINS),
    ),
    Claim(
        "Table 3", "FL* is about as good as FL",
        "33.8 and 33.9 against 34.0", ("3",), (42,),
        lambda r: every(about_as_good(r, rows.star(*setting), rows.FL) for setting in paper.FIGURE5_STARS),
        lambda r: evidence.otherwise(r, rows.RIVALS.star, evidence.STARS),
    ),
    Claim(
        "Table 3", "FL* is better than cross entropy",
        "+2.7 and +2.8", ("3",), (43,),
        lambda r: every(better(r, rows.star(*setting), rows.ce(0.75)) for setting in paper.FIGURE5_STARS),
    ),
    Claim(
        "Figure 7", "Losses that reduce the weight of well-classified examples are effective",
        "no numbers", ("7", "3"), (45,),
        evidence.lighter_is_effective,
    ),
    Claim(
        "Figure 4, left", "The hardest 20 % of the positives carry about half of the loss, a little more as γ grows",
        "about 50 %", (), (24,),
        measurements.hardest_positives,
    ),
    Claim(
        "Figure 4", "At γ = 0 the distributions of the positive and of the negative loss are similar",
        "no numbers", (), (25,),
        measurements.similar_without_gamma,
    ),
    Claim(
        "Figure 4, right", "For negatives γ concentrates the loss on a few hard ones, far more than for positives",
        "no numbers", (), (26,),
        measurements.hardest_negatives,
    ),
    Claim(
        "section 1, our figure", "The rarer the objects, the more focal loss gains over cross entropy",
        "not in the paper", ("imbalance",), (),
        measurements.rarer_objects,
    ),
    Claim(
        "Table 1e", "Time grows with depth and scale in the same order",
        "64 to 198 ms", ("1e",), (37,),
        measurements.time_grows,
    ),
    Claim(
        "section 1", "The imbalance is what cross entropy fails at: the more background, the more focal loss gains",
        "no numbers", ("background",), (1,),
        measurements.more_background,
    ),
    Claim(
        "section 3, Figure 1", "Under cross entropy, the easy negatives together have more loss than the rare class",
        "no numbers", (), (6,),
        measurements.easy_negatives,
    ),
    Claim(
        "section 3.2", "The loss of an easy example is 100 and 1000 times lower than cross entropy",
        "100 at p_t = .9, 1000 at .968, at most 4 up to .5", (), (7,),
        measurements.lower_than_cross_entropy,
    ),
    Claim(
        "section 3.3", "The sigmoid inside the loss is numerically more stable",
        "no numbers", (), (9,),
        measurements.sigmoid_inside,
    ),
    Claim(
        "appendix B", "For effective settings the derivatives are small where x_t is above 0 (here: at x_t = 1)",
        "no numbers", (), (46,),
        measurements.small_derivatives,
    ),
    Claim(
        "section 3.2", "The focal loss with α is slightly better than without",
        "no numbers", ("design",), (8,),
        lambda r: better(r, rows.FL, rows.design("alpha=none")),
    ),
    Claim(
        "section 5.1", "γ matters more than α: with γ = 2 any α from .25 to .75 is better than the best CE",
        "no numbers", ("1a", "1b"), (22,),
        evidence.any_alpha,
    ),
    Claim(
        "Figure 7", "Various settings of γ and β are effective",
        "no numbers", ("7", "3"), (44,),
        evidence.various_effective,
    ),
    Claim(
        "section 5.2", "A deeper backbone is more accurate",
        "+1.4 to +2.1", ("design", "1e"), (35,),
        evidence.deeper,
    ),
    Claim(
        "section 5.2", "A larger image is more accurate",
        "30.5 to 35.7", ("design", "1e", "1e-small"), (36,),
        evidence.larger,
    ),
    Claim(
        "section 5.3", "Scale jitter and half as many steps more are better",
        "39.1 against 37.8", ("design", "2"), (40,),
        lambda r: better(r, rows.design("jitter"), rows.FL),
    ),
    Claim(
        "section 4", "A pyramid is needed: from the last layer alone the AP is low",
        "no numbers", ("design",), (48,),
        lambda r: better(r, rows.FL, rows.design("last-layer-alone")),
    ),
    Claim(
        "section 4", "A deep class subnet matters (here two convolutions against one)",
        "no numbers", ("design",), (50,),
        lambda r: better(r, rows.FL, rows.design("head-convs=1")),
    ),
)  # fmt: skip
"""Those that the runs speak about."""


CLAIMS = TESTED + tuple(row.claim() for row in untested.UNTESTED)
"""All claims, in the order in which they are shown."""
