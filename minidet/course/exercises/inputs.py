"""Inputs that several exercises share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minidet.course.check import Case, Check

NONE = np.zeros((0, 4))
"""No boxes."""
IN_THE_TYPE = "The result is in the floating type of the input: float32 for float32."
"""What a stub's docstring says where the reference's own does not say it."""


def boxes(rng: np.random.Generator, n: int, extent: float = 60.0) -> np.ndarray:
    """(n, 4) boxes of 4 to 40 pixels a side, that overlap now and then."""
    corner, side = rng.uniform(0, extent, (n, 2)), rng.uniform(4, 40, (n, 2))
    return np.concatenate([corner, corner + side], axis=1).round(2)


def distinct(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) scores in (0, 1), no two the same."""
    return (rng.permutation(n) + 1) / (n + 1)


def narrow(one: Case) -> Case:
    """The same call in float32."""
    return Case(tuple(_narrow(value) for value in one.args), one.kwargs)


def _narrow(value: Any) -> Any:
    if isinstance(value, list):
        return [_narrow(part) for part in value]
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def usual(
    sample: Callable[[np.random.Generator], Case],
    empty: Callable[[], Iterable[Case]],
    empty_hint: str = "look at what each step does with an array of length 0: a maximum of nothing is an error",
    type_hint: str = "compute in float64 if you like, and give the result back in the floating type of the input",
) -> tuple[Check, ...]:
    """The checks that every function has: empty input, the type of the result, and that the arguments stay."""

    def both(rng: np.random.Generator) -> Iterable[Case]:
        one = sample(rng)
        return one, narrow(one)

    return (
        Check("empty input", f"empty input is ordinary: {empty_hint}", lambda rng: empty(), apart=True),
        Check("type of the result", f"the type of the result: {type_hint}", both, "type"),
        Check(
            "arguments left alone",
            "your function changes the arrays that it was given: work on a copy, beware of out=, += and [...] =",
            lambda rng: [sample(rng)], "input",
        ),
    )  # fmt: skip


def defaults(sample: Callable[[np.random.Generator], Iterable[Case]]) -> Check:
    """The function called without its optional arguments."""
    return Check(
        "default arguments", "called without its optional arguments: keep the defaults of the function's first line",
        sample, defaults=True,
    )  # fmt: skip
