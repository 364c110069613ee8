"""How exact the dense focal loss is in float32: every float32 logit there is, value and gradient, against float64.

``python -m tests.benchmarks.bench_ulp [--gamma G ...] [--every N] [--json FILE]``, from the repository's root.

2**32 logits per gamma, all but the NaNs, as background (of an object they count with the other sign). An error is told
in units in the last place (ulp) of float32: up to 0.5 a result is the nearest number there is. The exact value is that
of the float64 formula, which is right to 1e-15. Results that are too small to be normal numbers (below 2**-126) have
fewer digits, and are counted apart. What FILE knows already is not run again; Ctrl-C keeps the gammas that are done.

The other losses of the compiled path compute in float64 whatever they are given, and round once
(`tests/operations/test_ulp.py`).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from minidet.compiled import dense32
from minidet.compiled.jit import helper, kernel
from minidet.compiled.stable import power, sigmoid, softplus
from minidet.files import write_json
from tests.benchmarks.timing import machine

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "figures" / "results" / "benchmark_ulp.json"
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
KINDS = ("value", "gradient")
_STEP = 2**24
_LEAST_NORMAL = 2.0**-126


class Errors(NamedTuple):
    """Errors of value and gradient, each an array (2,), in ulp where the exact result is a normal number."""

    worst: np.ndarray
    at: np.ndarray
    total: np.ndarray
    count: np.ndarray
    small: np.ndarray
    """The largest error of results that are no normal numbers, in units of the least number, 2**-149."""


def nothing() -> Errors:
    """No logit yet."""
    return Errors(np.zeros(2), np.zeros(2, np.float32), np.zeros(2), np.zeros(2, np.int64), np.zeros(2))


def measure(x: np.ndarray, gamma: float, errors: Errors) -> None:
    """Add the errors of some float32 logits, which are no NaN, to those of others.

    Args:
        x: (N,) float32.
        gamma: the exponent, at least 0.
        errors: is changed.
    """
    for start in range(0, len(x), dense32.BLOCK):
        _measure(x[start : start + dense32.BLOCK], gamma, None if gamma == 2 else gamma, *errors)


@kernel
def _measure(x, gamma, general, worst, at, total, count, small):
    losses, grads = np.empty_like(x), np.empty_like(x)
    if general is None:
        dense32._square(x, np.float32(1), losses, grads)
    else:
        dense32._general(x, general, np.float32(1), losses, grads)
    for i in range(len(x)):
        u = np.float64(x[i])
        s, p, loss = sigmoid(u, 0.0), sigmoid(-u, 0.0), softplus(u, 0.0)
        modulation, p_loss = power(s, gamma), p * loss if p > 0.0 else 0.0
        for order in range(2):
            exact = modulation * (loss if order == 0 else gamma * p_loss + s)
            found = np.float64(losses[i] if order == 0 else grads[i])
            error = 0.0 if found == exact else abs(found - exact)  # infinities are equal
            if abs(exact) < _LEAST_NORMAL:
                small[order] = max(small[order], error / 2.0**-149)
                continue
            error /= _ulp(exact) if error > 0.0 else 1.0
            total[order] += error
            count[order] += 1
            if error > worst[order]:
                worst[order], at[order] = error, x[i]


@helper
def _ulp(exact):
    """The distance of neighbouring float32 numbers at a normal one."""
    return math.ldexp(1.0, math.frexp(exact)[1] - 24)


def sweep(gamma: float, every: int = 1) -> list[dict[str, Any]]:
    """The errors over all float32 logits, or every so manyth.

    Args:
        gamma: the exponent, at least 0.
        every: 1 for all.

    Returns:
        A row for the value and one for the gradient.
    """
    errors = nothing()
    for first in tqdm(range(0, 2**32, _STEP * every), desc=f"gamma {gamma:g}", unit_scale=_STEP, unit="logit"):
        bits = np.arange(first, min(first + _STEP * every, 2**32), every, dtype=np.uint32)
        x = bits.view(np.float32)
        measure(x[~np.isnan(x)], gamma, errors)
    return [
        {
            "gamma": gamma, "what": what, "largest": errors.worst[i], "at": float(errors.at[i]),
            "mean": errors.total[i] / errors.count[i], "normal": int(errors.count[i]),
            "below_normal": errors.small[i], "every": every,
        }
        for i, what in enumerate(KINDS)
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gamma", type=float, nargs="+", default=GAMMAS, help="these exponents alone")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth logit alone")
    parser.add_argument("--json", type=Path, help="keep the result there, and go on from what it holds")
    options = parser.parse_args()
    kept = options.json is not None and options.json.exists()
    rows = json.loads(options.json.read_bytes())["rows"] if kept else []
    for gamma in options.gamma:
        if any(row["gamma"] == gamma and row["every"] <= options.every for row in rows):
            continue
        rows = [row for row in rows if row["gamma"] != gamma] + sweep(gamma, options.every)
        if options.json:
            write_json(options.json, {"machine": machine(), "rows": rows})
    for row in rows:
        print("gamma {gamma:g}, {what}: at most {largest:.3f} ulp at {at!r}, {mean:.4f} on average".format(**row))


if __name__ == "__main__":
    main()
