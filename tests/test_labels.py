"""Names in pictures: in any script, with whatever fonts a computer has."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from minidet import labels
from minidet.plotting import detections_page, detections_picture, draw_boxes, new_figure
from minidet.structures import Detections

CIRCLED = "ⒶⒷ"
"""Characters that matplotlib's default font lacks and another one of its fonts, STIXGeneral, has."""
UNKNOWN = "\ue001"
"""A character of private use that a class may have by accident."""


@pytest.fixture(autouse=True)
def own_families(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "FAMILIES", ["sans-serif"])
    monkeypatch.setattr("minidet.plotting.FAMILIES", labels.FAMILIES)


def drawn(figure: Figure) -> bytes:
    """The picture; a missing character would be a warning, and that an error."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def found(count: int) -> Detections:
    boxes = np.array([[5.0, 5, 20, 20]] * count)
    return Detections(boxes, np.full(count, 0.9), np.arange(count))


@pytest.mark.parametrize(
    "name", ["cat", "Ünït", "кот", "γάτα", "חתול", CIRCLED, UNKNOWN, "cost of 3 $", "_hidden", "a\tb"]
)
def test_classes_of_any_name_are_drawn(name: str) -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    assert len(drawn(detections_picture(image, found(1), [name]))) > 500
    assert len(drawn(detections_page([image], [found(1)], [name], title=name))) > 500


def test_a_font_is_found_for_what_the_first_one_lacks() -> None:
    assert labels.plain(CIRCLED) == "U+24B6U+24B7"
    labels.use_fonts_for(["cat", CIRCLED])
    assert len(labels.FAMILIES) == 2
    assert labels.plain(CIRCLED) == CIRCLED
    figure, axes = new_figure(3, 3)
    draw_boxes(axes[0, 0], np.array([[0.1, 0.1, 0.5, 0.5]]), [CIRCLED])
    drawn(figure)


def test_what_no_font_has_is_written_as_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])  # a font of this computer may have it
    labels.use_fonts_for([UNKNOWN])
    assert labels.plain(f"a{UNKNOWN}") == "aU+E001"


def test_fonts_of_empty_boxes_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """They claim to have every character."""
    path = font_manager.findfont("STIXGeneral")
    entries = [font_manager.FontEntry(fname=path, name=name) for name in ("Last Resort", ".LastResort", "Adobe Blank")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", entries)
    labels.use_fonts_for([CIRCLED])
    assert labels.FAMILIES == ["sans-serif"]


def test_a_damaged_font_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    real = font_manager.get_font

    def get_font(path, **options):
        if "STIX" in str(path):
            raise RuntimeError("damaged")
        return real(path, **options)

    monkeypatch.setattr(labels.font_manager, "get_font", get_font)
    labels.use_fonts_for([CIRCLED])
    assert not any("STIX" in family for family in labels.FAMILIES)


def test_a_search_through_all_fonts_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A name that is not UTF-8 has a character that no font has; fonts of odd weights are looked at too."""
    labels.use_fonts_for(["caf\udce9"])
    assert caplog.records == []
