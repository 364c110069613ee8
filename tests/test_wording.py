"""How numbers and tables are written."""

from __future__ import annotations

import pytest

from minidet import wording


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (0, "0.0 %"), (1, "100.0 %"), (0.0004321, "0.043 %"), (0.9995, "99.95 %"), (0.123, "12.3 %")],
)
def test_shares_in_per_cent(share: float | None, text: str) -> None:
    assert wording.percent(share) == text


@pytest.mark.parametrize("length", [3, 4, 11, 22])
def test_shortened_text_has_the_length_asked_for(length: int) -> None:
    for text in ("", "ab", "x" * length, "x" * (length + 1), "abcdefghij" * 4):
        short = wording.shortened(text, length)
        assert len(short) <= length
        assert (short == text) == (len(text) <= length)


def test_columns_stand_below_each_other() -> None:
    lines = wording.aligned([["", "boxes", "size"], ["cat", "7", "1,234.5"], ["a longer name", "12", "–"]])
    assert len({len(line) for line in lines}) == 1
    assert wording.aligned([]) == []
