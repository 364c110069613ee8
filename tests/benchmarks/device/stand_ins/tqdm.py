"""Progress bars that are not drawn, for a machine that lacks tqdm and cannot install it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class tqdm:
    """What minidet calls of tqdm, doing nothing but to hand on what is iterated over."""

    def __init__(
        self, iterable: Iterable[Any] = (), desc: str = "", total: int = 0, *arguments: Any, **options: Any
    ) -> None:
        self.iterable, self.total, self.n = iterable, total, options.get("initial", 0)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.iterable)

    def __enter__(self) -> tqdm:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was drawn."""

    @classmethod
    def write(cls, text: str, file: Any = None, **options: Any) -> None:
        """A line between the bars."""
        print(text, file=file)

    def update(self, n: int = 1) -> None:
        """Count."""
        self.n += n

    def refresh(self, *arguments: Any, **options: Any) -> None:
        """Nothing is drawn."""

    set_description = set_postfix = close = refresh
