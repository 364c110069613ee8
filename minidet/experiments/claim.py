"""What a claim is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minidet.experiments.results import Results
from minidet.experiments.verdicts import Finding


@dataclass(frozen=True)
class Claim:
    """What the paper says, in our words, and how it is judged."""

    section: str
    text: str
    published: str
    """The paper's numbers."""
    tables: tuple[str, ...]
    """Tables under which it is printed."""
    numbers: tuple[int, ...]
    """Which of the paper's 52 claims it is; none for one of our own."""
    find: Callable[[Results], Finding]
    """What the runs say about it."""
    look: Callable[[Results], str] = lambda _: ""
    """What was found out about it besides: sentences without the full stop."""
