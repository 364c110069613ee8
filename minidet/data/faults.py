"""What can be wrong in a data set, and how it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from minidet import wording

NO_AREA = "no area"
OUTSIDE = "outside image"
DUPLICATE = "duplicate"
MISSING_IMAGE = "missing image"
UNREADABLE_IMAGE = "unreadable image"
UNREADABLE_ANNOTATION = "unreadable annotation"
UNKNOWN_CLASS = "unknown class"
UNKNOWN_IMAGE = "unknown image"
WRONG_SIZE = "wrong size"
UNSAFE_PATH = "unsafe path"
NO_ANNOTATION = "no annotation"
SAME_NAME = "same name"
BAD_FLAG = "bad flag"
FAULT_KINDS = (
    NO_AREA, OUTSIDE, DUPLICATE, MISSING_IMAGE, UNREADABLE_IMAGE, UNREADABLE_ANNOTATION,
    UNKNOWN_CLASS, UNKNOWN_IMAGE, WRONG_SIZE, UNSAFE_PATH, NO_ANNOTATION, SAME_NAME, BAD_FLAG,
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Something wrong in a data set, and what was done about it."""

    kind: str
    """One of FAULT_KINDS."""
    image_id: int | str | None
    """The image that the fault is about; None where that is not known."""
    where: str
    """File and element, as in ``a.xml: object 4 (cat)``; elements without a number of their own count from 1."""
    detail: str
    """A sentence that says where the fault is, what it is, what was done, and what to do."""


class DatasetError(ValueError):
    """A fault that stops: the first one under ``strict=True``, or an image that cannot be decoded.

    Args:
        fault: what is wrong; its ``detail`` is the message.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault

    def __reduce__(self) -> tuple[type[DatasetError], tuple[Fault]]:  # comes back whole from a worker process
        return DatasetError, (self.fault,)


def counted(faults: Iterable[Fault]) -> str:
    """How many faults there are of each kind, in a few words for the end of a command.

    Args:
        faults: any number.

    >>> counted([Fault(NO_AREA, 1, "", ""), Fault(NO_AREA, 2, "", ""), Fault(OUTSIDE, 2, "", "")])
    '3 faults (2 no area, 1 outside image)'
    >>> counted([])
    'no faults'
    """
    kinds = Counter(fault.kind for fault in faults)
    total = sum(kinds.values())
    if not total:
        return "no faults"
    return f"{wording.counted(total, 'fault')} ({', '.join(f'{count:,} {kind}' for kind, count in kinds.items())})"
