"""What the paper publishes: the numbers of its text and tables, each once, for the figures to stand beside."""

from __future__ import annotations

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
"""The focusing parameters of Figure 1."""

FIGURE5_STARS = ((2.0, 1.0), (4.0, 0.0))
"""(gamma, beta) of FL* in Figures 5 and 6, those of Table 3."""

FIGURE5_GAMMA = 2.0
"""gamma of FL beside them."""

LOWER_THAN_CROSS_ENTROPY = ((0.9, 100.0), (0.968, 1000.0))
"""Section 3.2, at gamma = 2: (p_t, how many times lower the focal loss is than the cross entropy)."""

AT_MOST_LOWER_UP_TO_HALF = 4.0
"""Section 3.2, at gamma = 2: for p_t <= .5 the loss is scaled down by at most this."""
