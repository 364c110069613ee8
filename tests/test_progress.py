"""Progress: a bar for who watches, lines for a file."""

from __future__ import annotations

import io

import pytest

from minidet import progress
from minidet.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_it_is_a_bar():
    stream = Terminal()
    assert list(Progress(range(50), "training", file=stream, mininterval=0)) == list(range(50))
    assert stream.getvalue().count("\r") > 2
    assert stream.getvalue().count("\n") == 1


def test_in_a_file_it_is_a_line_now_and_then():
    """A thousand quick steps: the beginning and the end, and no carriage return."""
    stream = io.StringIO()
    bar = Progress(range(1000), "training", file=stream, mininterval=0)
    for _ in bar:
        bar.set_postfix({"loss": "0.5"}, refresh=False)
    assert "\r" not in stream.getvalue()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("training:   0% 0/1000")
    assert lines[1].startswith("training: 100% 1000/1000")
    assert "loss=0.5" in lines[1]


def test_a_line_is_due_after_its_time(monkeypatch):
    """With no time between lines, every step has its own."""
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    stream = io.StringIO()
    list(Progress(range(20), file=stream))
    assert len(stream.getvalue().splitlines()) >= 20


@pytest.mark.parametrize("steps", [0, 5])
def test_a_bar_that_leaves_no_trace_leaves_none_in_a_file(steps):
    stream = io.StringIO()
    list(Progress(range(steps), "evaluating", leave=False, file=stream))
    assert stream.getvalue() == ""


def test_a_line_of_ones_own_between_them():
    stream = io.StringIO()
    bar = Progress(total=2, file=stream)
    Progress.write("left out: a.png", file=stream)
    bar.close()
    assert "left out: a.png" in stream.getvalue().splitlines()


def test_a_bar_that_is_drawn_by_hand_keeps_to_its_time_too():
    stream = io.StringIO()
    with Progress(total=100, file=stream) as bar:
        for _ in range(100):
            bar.n += 1
            bar.refresh()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("100% 100/100")


def test_without_stderr_nothing_is_written(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    bar = Progress(range(3), "training")
    for _ in bar:
        bar.set_postfix({"loss": "0.5"})
    with Progress(total=2) as other:
        other.update(2)
    assert list(Progress(range(3), file=(stream := io.StringIO()))) == [0, 1, 2]
    assert "3/3" in stream.getvalue()
