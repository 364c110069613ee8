"""Progress bars, and lines in their place where nobody watches."""

from __future__ import annotations

import math
import re
import sys
import time
from typing import Any

from tqdm import tqdm

_MOVES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # of the cursor, between bars below each other
SECONDS = 30.0
"""Time between two lines that are written where there is no terminal: into a file, or into a pipe."""


class Progress(tqdm):  # type: ignore[misc]  # tqdm has no types
    """A tqdm bar on stderr that, when stderr is no terminal, writes a whole line every SECONDS instead.

    A bar draws itself anew several times per second, each time after a carriage return: in the log of a job that runs
    overnight that is a single line of megabytes. Where there is no stderr at all, nothing is written.

    Args:
        arguments, options: as `tqdm.tqdm` takes them.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        stream = options.get("file") or sys.stderr
        if stream is None:  # a process without stderr: closed by the shell, or of Windows without a console
            options["disable"] = True
        self._lines = stream is not None and not (hasattr(stream, "isatty") and stream.isatty())
        self._drawn = -math.inf
        if self._lines:
            options.update(file=_Lines(stream), mininterval=SECONDS, maxinterval=SECONDS, miniters=1, ncols=0)
            if options.get("leave") is False:  # such a bar leaves no trace: it is for those who wait
                options["delay"] = SECONDS
        super().__init__(*arguments, **options)

    def refresh(self, *arguments: Any, **options: Any) -> Any:
        """Draw the bar anew; where lines are written, at most one every SECONDS."""
        now = time.monotonic()
        if self._lines and now - self._drawn < SECONDS:
            return None
        self._drawn = now
        return super().refresh(*arguments, **options)


class _Lines:
    """A stream that writes each state of a bar as a line, and nothing where a bar would only be wiped out."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.last = stream, ""

    def write(self, text: str) -> None:
        state = _MOVES.sub("", text).strip()
        if state and state != self.last:
            self.stream.write(f"{state}\n")
            self.last = state

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
