"""The rule by which runs are judged: what "better", "about as good" and "fails" mean, and its bounds."""

from __future__ import annotations

LEVEL = 0.05
"""Probability that any verdict at all is decided wrongly, if the differences between runs are normally distributed."""
NEAR = 1.0
"""Points of AP within which two settings are about as good."""
FAILED = 0.1
"""A setting has failed when its AP is below this fraction of the AP of one that works."""
WORKS = 0.25
"""A setting works when its mean AP is at least this fraction of the focal loss's."""
SURE = 0.9
"""Rank correlation from which on two orders are called the same."""
EASY = 0.6
"""p_t from which on an example is called well classified (Figure 1)."""
SMALL = 0.25
"""A derivative is called small at x_t = 1 below this fraction of cross entropy's."""
ABOUT = 0.1
"""Two shares of the loss are about the same when they differ by no more than this."""

RULE = (
    "Each verdict is one of four: **supported**, **contradicted**, **undecided** (the runs allow both) and **not "
    "testable here**, with the reason.",
    "A is **better** than B: the difference of their mean APs is tested with Student's t, two-sided. Where both have "
    "the same seeds, run is compared with run of the same seed; else the test is Welch's. Where one has a single "
    "seed, the other's deviation stands for both. Where all runs of both recorded their AP on resampled images, the "
    "error of the images is added to that of the seeds. The intervals in brackets are of 95 %, of one comparison "
    "alone.",
    f"A is **about as good** as B: this is tested as equivalence. It is supported when the difference is "
    f"significantly above -{NEAR:g} and below +{NEAR:g} point of AP (two one-sided tests), and contradicted when it is "
    "significantly outside. “As good” lets A be better by any amount, “no better” lets it be worse.",
    f"A **fails**: its AP is significantly below {FAILED:.0%} of the AP of what it is compared with, run by run where "
    "the seeds are the same. A run that diverged has an AP of 0.",
    f"A setting that does not work cannot be compared with: where the mean AP of B is below {WORKS:.0%} of the focal "
    "loss's, the claim is not testable here.",
    "A claim of several parts is supported when every part is, and contradicted when one is; the probability of the "
    "latter is multiplied by the number of parts. “Better than the best of several” means better than each of them. "
    "Of “several of many” at least three must be true (a partial conjunction).",
    f"The probabilities are corrected for the number of claims by Holm's method: if the differences between runs are "
    f"normally distributed, all verdicts together are wrong with a probability of at most {LEVEL:.0%}. In Tables 1 and "
    "3 the error of the 500 images is not included.",
    "What rests on arithmetic, a time or one detector has no seeds. It is judged by its numbers and is not counted "
    f"there: two orders are the same from a rank correlation of {SURE:g} on, two shares of the loss from a difference "
    f"of {ABOUT:.0%} down, an example is well classified from p_t = {EASY:g} on, and a derivative is small below "
    f"{SMALL:.0%} of cross entropy's at x_t = 1.",
)
"""The rule in words; what is between double asterisks is emphasised."""
