"""The page of what was measured: digits of the focal loss, and times of the operations, from figures/results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parents[2] / "figures" / "results"
PATHS = ("reference", "compiled", "pytorch")


def page() -> str:
    """The page as Markdown; its links lead from chapters/site."""
    names = "accuracy", "half", "operations", "ulp"
    accuracy, half, operations, ulp = (_load(f"benchmark_{name}.json") for name in names)
    return f"""# Digits and times

Measured by scripts that anybody can run again; [chapter 7](../07_numerics.ipynb) explains the digits,
[chapter 15](../15_fast.ipynb) the times.

## How many digits of the focal loss are right

The largest relative error over logits from -100 to 100, both targets and γ from 0 to 5, against 60 digits, in units in
the last place: 1 is as good as a number of that type can be, and {_ulps(1, "float32")} of float32 or
{_ulps(1, "float64")} of float64 means that no digit is right. Peers compute the gradient by automatic differentiation.
[`bench_accuracy.py`](../../tests/benchmarks/bench_accuracy.py), {_machine(accuracy)}.

{digits(accuracy["rows"])}

The same for numbers of half width, over every logit that float16 and bfloat16 have, and for every loss: up to 0.50 a
result is the nearest number there is. The array paths compute these in float64, PyTorch in float32, and in float64
where two numbers near each other are subtracted. NumPy has no bfloat16.
[`bench_half.py`](../../tests/benchmarks/bench_half.py), {_machine(half)}.

{half_width(half["rows"])}

Of the compiled losses, `dense_focal_loss` is the one that computes in float32, for the sake of speed. Its errors over
every float32 logit there is, in units in the last place, as background:
[`bench_ulp.py`](../../tests/benchmarks/bench_ulp.py), {_machine(ulp)}.

{every_logit(ulp["rows"])}

## How long the operations take

Medians in milliseconds; the ways of doing one thing took turns in one process.
[`bench_operations.py`](../../tests/benchmarks/bench_operations.py), {_machine(operations)}.

{times(operations["median_s"])}
"""


def digits(rows: Sequence[Mapping[str, Any]]) -> str:
    """The largest error of each implementation, as a table in Markdown."""
    worst: dict[tuple[str, str, str], float] = {}
    lost: dict[tuple[str, str, str], float] = {}
    for row in rows:
        key = row["implementation"], row["type"], row["what"]
        worst[key] = max(worst.get(key, 0), row["error"] or 0)  # None: infinite
        lost[key] = max(lost.get(key, 0), row["not_finite"])
    implementations = [*PATHS, *sorted({key[0] for key in worst} - {*PATHS})]
    columns = [(kind, what) for kind in ("float64", "float32") for what in ("value", "gradient")]

    def cell(key: tuple[str, str, str]) -> str:
        if key not in worst:
            return "–"
        lines = f", {lost[key]:.0%} not finite" if lost[key] else ""
        return _ulps(worst[key], key[1]) + lines

    body = ([name, *(cell((name, *column)) for column in columns)] for name in implementations)
    return _table(["", *(f"{what}, {kind}" for kind, what in columns)], body)


def half_width(rows: Sequence[Mapping[str, Any]]) -> str:
    """The largest error of each loss in float16 and bfloat16, and how many results are not the nearest, in Markdown."""
    columns = [("float16", "compiled"), ("float16", "pytorch"), ("bfloat16", "pytorch")]
    names = dict.fromkeys((row["function"], row["what"]) for row in rows)

    def cell(name: tuple[str, str], column: tuple[str, str]) -> str:
        own = [row for row in rows if (row["function"], row["what"]) == name]
        own = [row for row in own if (row["type"], row["implementation"]) == column]
        missed = max(row["not_nearest"] for row in own)
        lines = f", {missed:.3%} not the nearest" if missed else ""
        return f"{max(row['ulps'] for row in own):.2f}{lines}"

    body = ([f"`{name[0]}`, {name[1]}", *(cell(name, column) for column in columns)] for name in names)
    return _table(["", "reference and compiled, float16", "pytorch, float16", "pytorch, bfloat16"], body)


def every_logit(rows: Sequence[Mapping[str, Any]]) -> str:
    """The largest error of the dense focal loss, where it is, and the mean, by gamma, as a table in Markdown."""
    found = {(row["gamma"], row["what"]): row for row in rows}
    kinds = ("value", "gradient")

    def cells(row: Mapping[str, Any]) -> list[str]:
        return [f"{row['largest']:.2f}", f"{row['at']:.6g}", f"{row['mean']:.2f}"]

    gammas = sorted({gamma for gamma, _ in found})
    body = ([f"{gamma:g}", *(cell for what in kinds for cell in cells(found[gamma, what]))] for gamma in gammas)
    return _table(["γ", *(f"{what}: {part}" for what in kinds for part in ("largest", "at", "mean"))], body)


def times(medians: Mapping[str, Mapping[str, float]]) -> str:
    """Milliseconds by operation, as a table in Markdown."""
    ways = [*PATHS, *sorted({way for one in medians.values() for way in one} - {*PATHS})]
    body = ([name, *(_number(1000 * one[way]) if way in one else "–" for way in ways)] for name, one in medians.items())
    return _table(["", *ways], body)


def _ulps(error: float, kind: str) -> str:
    """A relative error in units in the last place."""
    return _number(error / float(np.finfo(kind).eps))


def _number(value: float) -> str:
    return f"{value:,.0f}" if 100 <= value < 1e6 else f"{value:.3g}"


def _table(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine(measured: Mapping[str, Any]) -> str:
    machine = measured["machine"]
    return f"{machine['date']}, {machine['cores']} cores of an {machine['cpu']}"


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return loaded
