"""What lecturers get beside the chapters: slides, goals and rubrics, exam questions whose answers are computed."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

from chapters import formulas
from tests.site.test_chapters import FOLDER, broken_links

pytestmark = pytest.mark.slow

EXAM = (FOLDER / "EXAM.md").read_text(encoding="utf-8")
WEEKS = range(1, 5)


def test_the_exams_numbers_are_right():
    examples = doctest.DocTestParser().get_doctest(EXAM, {"np": np}, "EXAM", "EXAM.md", 0)
    assert len(examples.examples) > 20
    found = doctest.DocTestRunner(optionflags=doctest.REPORT_ONLY_FIRST_FAILURE).run(examples)
    assert found.failed == 0


def test_the_exam_has_twenty_questions_with_answers_for_a_hundred_points():
    questions = re.split(r"^\*\*(?=\d+\.\*\* )", EXAM, flags=re.MULTILINE)[1:]
    assert [int(one.split(".")[0]) for one in questions] == list(range(1, 21))
    assert all(one.count("<details><summary>Answer</summary>") == one.count("</details>") == 1 for one in questions)
    assert sum(int(re.search(r"(\d+) points?\)", one)[1]) for one in questions) == 100


@pytest.mark.parametrize("name", ["EXAM.md", "LECTURING.md"])
def test_links_lead_somewhere(name):
    assert broken_links(name, (FOLDER / name).read_text(encoding="utf-8")) == []


def test_each_week_has_goals_a_lab_and_a_rubric():
    text = (FOLDER / "LECTURING.md").read_text(encoding="utf-8")
    parts = re.split(r"^## Week \d", text, flags=re.MULTILINE)[1:]
    assert len(parts) == len(WEEKS)
    for part in parts:
        assert "After this week students can" in part
        assert "**Lab**" in part
        assert sum(int(number) for number in re.findall(r"^\| the \w+ \((\d+)\)", part, re.MULTILINE)) == 10


@pytest.mark.parametrize("number", WEEKS)
def test_the_slides_hold_every_picture_and_question_of_the_week(number):
    pytest.importorskip("nbconvert")
    import nbformat

    from chapters import slides

    page = slides.week(number)
    assert page.count("<section>") == page.count("</section>") > 30
    pictures = questions = 0
    for name in slides.WEEKS[number][1]:
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
        pictures += sum(any(kind in one.get("data", {}) for kind in slides.KINDS) for one in outputs)
        prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        questions += prose.partition("## Questions")[2].count("<summary>Answer</summary>")
    assert page.count("<img ") == pictures
    assert page.count("<h2>Question</h2>") == questions
    assert not re.search(r'<img alt=""|href="(?!https?:)|src="(?!data:)', page)
    prose = re.sub(r'aria-label="[^"]*"|base64,[^"]*', "", page.partition("</style>")[2].partition("<script>")[0])
    assert "$" not in prose, "a formula is not drawn"
    assert page.count("<svg ") > 20


def test_a_formula_is_a_drawing_of_its_height():
    small, large = (formulas.svg(tex) for tex in ("x", r"\frac{x}{y}"))
    height = [float(re.search(r"height:([\d.]+)em", one)[1]) for one in (small, large)]
    assert height[0] < 1 < height[1]
    assert 'aria-label="x &lt; 1"' in formulas.svg("x &lt; 1")
    assert formulas.plain(r"\begin{cases} 1 & y = 1 \\ 0 & y = 0 \end{cases} \le \sqrt 2") == (
        r"1\ \ (y = 1),\ \ 0\ \ (y = 0) \leq \sqrt{2}"
    )
    with pytest.raises(ValueError, match="Unknown symbol"):
        formulas.svg(r"\nosuchthing")


def test_a_week_that_is_not_there_is_refused():
    pytest.importorskip("nbconvert")
    from chapters import slides

    with pytest.raises(ValueError, match="there is no week 5"):
        slides.week(5)


def test_the_command_writes_the_weeks(tmp_path: Path, capsys):
    pytest.importorskip("nbconvert")
    from chapters import slides

    assert slides.main(["2", "--out", str(tmp_path / "slides")]) == 0
    assert (tmp_path / "slides" / "week2.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert capsys.readouterr().out.strip().endswith("week2.html")
