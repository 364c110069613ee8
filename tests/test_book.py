"""What the cells of the chapters share."""

from __future__ import annotations

import base64
import doctest
import io

import numpy as np
import PIL.Image
import pytest

from minidet import book, reference
from minidet.plotting import CLASS_COLOURS


class Sample:
    """A class whose docstring
    takes two lines.

    And has more to say.
    """

    def method(self) -> int:
        """One line."""
        return 1  # a comment stays

    def other(self) -> str:
        """Another sentence.

        Returns:
            A string that looks like a docstring.
        """
        return """no
        docstring"""


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, as (data, metadata)."""
    display = pytest.importorskip("IPython.display")
    kept = []
    monkeypatch.setattr(display, "display", lambda data, metadata, raw: kept.append((data, metadata)))
    return kept


def opened(data) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(base64.b64decode(data["image/png"])))


def test_the_examples():
    assert doctest.testmod(book).attempted > 3
    assert doctest.testmod(book).failed == 0


def test_every_public_name_is_offered():
    assert all(hasattr(book, name) for name in book.__all__)
    colours = [getattr(book, name) for name in book.__all__[:8]]
    assert tuple(colours) == CLASS_COLOURS


def test_code_keeps_everything_but_the_rest_of_docstrings():
    short = book.code(Sample)
    assert '"""A class whose docstring takes two lines."""' in short
    assert '        """Another sentence."""\n        return """no\n        docstring"""' in short
    assert '"""One line."""\n        return 1  # a comment stays' in short
    assert "more to say" not in short
    assert "looks like a docstring" not in short
    assert "And has more to say." in book.code(Sample, docstrings=True)


@pytest.mark.parametrize("name", reference.__all__)
def test_code_without_its_docstring_is_the_same_function(name):
    import ast

    def body(text: str) -> str:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                node.body = node.body[1:]
        return ast.dump(tree)

    function = getattr(reference, name)
    assert body(book.code(function)) == body(book.code(function, docstrings=True))


def test_a_method_is_shown_flush_left():
    assert book.code(Sample.method).startswith("def method")
    pytest.importorskip("IPython.display")
    shown = book.source(Sample.method, Sample.other).data
    assert shown.count("```python\ndef ") == 2


def test_a_picture_has_its_words(shown):
    figure, axes = book.new_figure(4, 2)
    book.draw_curve(axes[0, 0], np.arange(3), np.arange(3), "rising", book.BLUE)
    book.picture(figure, "A rising line.")
    ((data, metadata),) = shown
    assert data["text/plain"] == metadata["image/png"]["alt"] == "A rising line."
    assert opened(data).size[0] == pytest.approx(4 * book.DPI, abs=30)


def test_a_photograph_is_kept_in_its_colours(shown, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    smooth = np.repeat(np.repeat(noise, 8, axis=0), 8, axis=1)
    PIL.Image.fromarray(smooth).save(tmp_path / "photograph.png")
    book.picture(tmp_path / "photograph.png", "Many colours.", photograph=True)
    ((data, metadata),) = shown
    assert metadata["image/jpeg"]["alt"] == data["text/plain"]
    image = PIL.Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"])))
    middles = np.asarray(image, float)[4::8, 4::8]
    assert abs(middles - noise).mean() < 8  # 4; with 256 colours it would be 14


def test_long_lines_go_on_in_the_next():
    text = "short\n\n  - " + "word " * 40
    lines = book.wrapped(text).split("\n")
    assert max(map(len, lines)) <= book.WIDTH
    assert lines[:2] == ["short", ""]
    assert lines[2].startswith("  - word")
    assert all(line.startswith(" " * 6 + "word") for line in lines[3:])
    assert " ".join(book.wrapped(text).split()) == " ".join(text.split())


def test_a_picture_from_a_file_is_made_smaller(shown, tmp_path):
    PIL.Image.new("RGB", (3000, 1500), "red").save(tmp_path / "large.png")
    book.picture(tmp_path / "large.png", "Red.")
    image = opened(shown[0][0])
    assert image.size == (1000, 500)
    assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_a_picture_without_words_is_refused():
    pytest.importorskip("IPython.display")
    with pytest.raises(ValueError, match="needs words"):
        book.picture(book.new_figure(1, 1)[0], " ")


def test_quiet_lets_what_is_printed_through_if_asked(capsys):
    import sys

    with book.quiet(printed=False) as said:
        print("kept")
        print("left out", file=sys.stderr)
    assert capsys.readouterr().out == "kept\n"
    assert said.getvalue() == "left out\n"


@pytest.mark.parametrize(("numbers", "texts"), [(True, ["0", "1.5"]), (False, [])])
def test_a_map_has_its_numbers(numbers, texts):
    _, axes = book.new_figure(2, 1)
    book.draw_map(axes[0, 0], np.array([[0.0, 1.5]]), "a map", numbers=numbers)
    assert [text.get_text() for text in axes[0, 0].texts] == texts
