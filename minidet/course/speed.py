"""How fast a function is, as a ratio to the reference's time in a process of the same kind."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from minidet.course.assignments import Assignment, speed_share
from minidet.course.check import Case, Failure, Outcome
from minidet.course.compare import difference
from minidet.course.session import Row

REPEATS = 7
"""Pairs of timed calls, each pair with other inputs."""
HOPELESS = 30.0
"""A ratio after which nothing is gained by measuring again."""
LOOP = (
    "no Python loop over anchors or classes: let NumPy work on whole arrays; compute each exponential once; leave out "
    "what is 0 anyway"
)

Call = Callable[[Case], Outcome]


def grade_speed(assignment: Assignment, right: bool, seed: int, own: Call, reference: Call, nothing: Call) -> Row:
    """Time a function beside the reference.

    Args:
        right: whether its values are; otherwise it is not timed.
        own, reference: calls of both functions.
        nothing: a call of a function that returns its first argument, for the time that the way there and back takes.
    """
    speed = assignment.speed
    assert speed is not None
    row, check = Row(speed.name), f"time of {speed.function}"
    if not right:
        row.failed[check], row.remark = None, "timed only when its results are right"
        return row
    exercise = assignment.exercise(speed.function)
    cases = [exercise.explicit(speed.make_case(1000 * seed + i)) for i in range(REPEATS + 1)]

    def correct(expected: Outcome, outcome: Outcome) -> bool:
        return not difference(expected.value, outcome.value, exercise.rtol, exercise.atol)

    ratio, why = time_ratio(cases, own, reference, nothing, correct)
    row.share = speed_share(ratio) if not why else 0.0
    row.remark = why or f"{ratio:.2f} times the reference's time"
    if row.share == 1:
        row.passed.append(check)
    else:
        call = f"{speed.function} of {len(cases[0].args[1])} anchors"
        row.failed[check] = Failure(call, "at most 1.5 times the reference's time", row.remark, LOOP)
    return row


def time_ratio(
    cases: Sequence[Case], own: Call, reference: Call, nothing: Call, correct: Callable[[Outcome, Outcome], bool]
) -> tuple[float, str]:
    """The time of a function over that of the reference, the median over calls that take turns; or why there is none.

    The first case warms up. Each call has inputs of its own, so nothing can be remembered from one to the next.
    """
    ratios: list[float] = []
    for number, one in enumerate(cases):
        (mine, seconds), (wanted, theirs), (_, way) = (_timed(call, one) for call in (own, reference, nothing))
        if mine.error:
            return 0.0, f"too slow: {mine.error}" if mine.final else mine.error
        if not correct(wanted, mine):
            return 0.0, "the results of the timed calls are not right"
        ratio = max(seconds - way, 1e-9) / max(theirs - way, 1e-9)
        ratios += [ratio] if number else []
        if number and ratio > HOPELESS:
            break
    return statistics.median(ratios), ""


def _timed(call: Call, one: Case) -> tuple[Outcome, float]:
    begin = time.perf_counter()
    outcome = call(one)
    return outcome, time.perf_counter() - begin
