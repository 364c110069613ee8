"""A class: submissions as platforms give them out, late days, copies, pages, and files for the gradebook."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minidet.cli import main
from minidet.course import classroom, feedback, report
from minidet.course.assignments import Points
from minidet.course.copies import find_copies, ways_around
from minidet.course.grading import Result
from minidet.course.roster import Late, Student, match, read_roster
from minidet.course.session import Row
from minidet.course.submissions import HandedIn, find_submissions, notebook_source, read_submission
from tests.course.helpers import load, solution, stub

pytestmark = pytest.mark.slow

IDENTICAL = """
import numpy as np


def nms(boxes, scores, iou_threshold=0.5):
    keep, order = [], np.argsort(-scores)
    while len(order):
        keep.append(order[0])
        iou = box_iou(boxes[order[:1]], boxes[order[1:]])[0]
        order = order[1:][iou <= iou_threshold]
    return np.array(keep, np.int64)
"""
FUNCTIONS = list(load("a1").rows)


def zipped(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".py", text)
    return path


def notebook(path: Path, *cells: str) -> Path:
    content = [{"cell_type": "markdown", "source": ["# Mine"]}]
    content += [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    path.write_text(json.dumps({"cells": content, "nbformat": 4}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Submissions of every kind, named as Canvas and Moodle name them and as people do."""
    root = tmp_path_factory.mktemp("submissions")
    right = solution("a1")
    (root / "ann").mkdir()
    (root / "ann" / "a1.py").write_text(right, encoding="utf-8")
    (root / "bob").mkdir()
    (root / "bob" / "a1.py").write_text(f"{right}\ndef clip_boxes(boxes, image_size):\n    import os; os._exit(1)\n")
    (root / "leecyd_LATE_77_123_a1-2.py").write_text("import nothing_like_that", encoding="utf-8")
    zipped(root / "roedan_78_124_work.zip", week1__a1=right, week1__notes="x = 1")
    (root / "Eva Fox_79_assignsubmission_file").mkdir()
    notebook(root / "Eva Fox_79_assignsubmission_file" / "mine.ipynb", "%matplotlib inline\nimport numpy as np", right)
    (root / "empty").mkdir()
    (root / "broken.zip").write_bytes(b"PK no zip")
    notebook(root / "pictures.ipynb", "import a1 as my\nprint(my.box_area([]))")
    (root / "=sum(1).py").write_text(stub("a1"), encoding="utf-8")
    (root / ".DS_Store").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def entries(folder):
    return classroom.grade_all(folder, load("a1"), jobs=2)


def test_every_submission_gets_a_row(entries):
    results = {entry.name: entry.result for entry in entries}
    assert {name: result.total for name, result in results.items()} == {
        "=sum(1)": 0, "Eva Fox": 100, "ann": 100, "bob": 90, "broken": 0, "empty": 0, "leecyd": 0, "pictures": 0,
        "roedan": 100,
    }  # fmt: skip
    for name, told in (
        ("Eva Fox", "taken from the notebook mine.ipynb"), ("broken", "no zip file"), ("empty", "there is no a1.py"),
        ("leecyd", "nothing_like_that"), ("pictures", "defines none of the functions"),
    ):  # fmt: skip
        assert told in results[name].remark


def test_the_csv(entries):
    rows = {row["submission"]: row for row in csv.DictReader(io.StringIO(classroom.to_csv(entries)))}
    assert rows["bob"]["clip_boxes"] == "0"
    assert rows["'=sum(1)"]["points"] == "0"
    assert "copy group 1 (4 submissions): " in rows["ann"]["worth_a_look"]
    assert "minidet's reference: " in rows["ann"]["worth_a_look"]
    assert len(rows["ann"]["worth_a_look"]) < 400
    assert rows["'=sum(1)"]["worth_a_look"] == ""
    assert classroom.groups(entries) == ["copy group 1 (4 submissions): Eva Fox; ann; bob; roedan"]


def test_a_grader_that_fails_does_not_end_the_run(folder, monkeypatch):
    monkeypatch.setattr(classroom, "grade_submission", lambda *args, **settings: 1 / 0)
    found = classroom.grade_all(folder, load("a1"))
    assert len(found) == 9
    assert sum("the grader failed: ZeroDivisionError" in entry.result.remark for entry in found) == 6


ROSTER = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,days_late
    Points Possible,,,,,
"Lee, Cyd",77,u77,cyd@x.org,S1,
"Roe, Dan",78,u78,dan@x.org,S1,1.5
Eva Fox,79,u79,eva@x.org,S2,
Ann,80,u80,ann,S2,0
"Gone, Guy",81,u81,guy@x.org,S2,
"""


@pytest.fixture
def students(tmp_path):
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-8")
    return read_roster(tmp_path / "roster.csv")


def test_who_handed_in_what(folder, students):
    pairs = match(find_submissions(folder), students)
    found = {student.name: one and one.student for student, one in pairs if student}
    assert found == {"Lee, Cyd": "leecyd", "Roe, Dan": "roedan", "Eva Fox": "Eva Fox", "Ann": "ann", "Gone, Guy": None}
    assert {one.student for student, one in pairs if student is None} >= {"bob", "empty"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name;x\n", "no column 'student'"), ("student,days_late\nAnn,soon\n", "'soon'"),
        ("student,days_late\nAnn,-1\n", "'-1'"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_read(tmp_path, text, told):
    (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        read_roster(tmp_path / "roster.csv")


@pytest.mark.parametrize(("days", "taken"), [(0, 0), (0.1, 8), (1, 8), (1.5, 16), (2, 16), (9, 40)])
def test_each_day_that_has_begun_costs(days, taken):
    assert Late(percent=10, most=50).taken(80, days) == taken


def entry(points: float = 80.0, **settings) -> classroom.Entry:
    result = Result("a3", "x", [Row("focal_loss", share=points / 100)], {"focal_loss": 100.0})
    return classroom.Entry(result, **settings)


def test_canvass_gradebook():
    """The columns of Canvas's own export, the row of points possible, and nobody who is not on the list."""
    row = {"Student": "Lee, Cyd", "ID": "77", "SIS User ID": "u77", "SIS Login ID": "cyd", "Section": "S1"}
    listed = entry(student=Student("Lee, Cyd", "77", "cyd", row=row), taken=8.0, days_late=1)
    text = classroom.canvas([listed, entry()], "a3: Losses")
    assert text.splitlines() == [
        "Student,ID,SIS User ID,SIS Login ID,Section,a3: Losses", "    Points Possible,,,,,100",
        '"Lee, Cyd",77,u77,cyd,S1,72',
    ]  # fmt: skip


def test_moodles_worksheet():
    """Moodle's columns as they came, with grade and feedback filled in."""
    row = {"Identifier": "Participant 79", "Full name": "Eva Fox", "Status": "", "Grade": "", "Feedback comments": ""}
    (line,) = csv.DictReader(io.StringIO(classroom.moodle([entry(student=Student("Eva Fox", "79", row=row))])))
    assert line == {**row, "Grade": "80", "Feedback comments": "focal_loss 80/100"}
    (line,) = csv.DictReader(io.StringIO(classroom.moodle([entry(handed_in=HandedIn("Eva Fox", number="79"))])))
    assert (line["Identifier"], line["Grade"]) == ("Participant 79", "80")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag, attributes):
        self.found.add(tag)


def test_a_page_explains_and_cannot_be_made_to_do_anything(entries):
    (bob,) = (one for one in entries if one.name == "bob")
    text = feedback.page(bob)
    assert "clip_boxes" in text
    assert "exit status 1" in text
    assert 'class="hint"' in text
    bob.result.remark = "<script>alert(1)</script>"
    tags = Tags()
    tags.feed(feedback.page(bob))
    assert "script" not in tags.found
    bob.result.remark = ""


def test_pages_of_two_students_of_one_name(tmp_path):
    pair = [entry(handed_in=HandedIn("../Ann Lee", number=number)) for number in ("1", "2")]
    for one in pair:
        one.result.submission = "../Ann Lee"
    written = feedback.write_pages(pair, tmp_path)
    assert len({*written}) == 2
    assert all(path.parent == tmp_path for path in written)


def test_the_command_does_all_of_it(folder, tmp_path, capsys):
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-8")
    out, pages = tmp_path / "grades.csv", tmp_path / "pages"
    words = ["assignment", "grade", "a1", "--all", str(folder), "--out", str(out), "--jobs", "2"]
    words += ["--feedback", str(pages), "--roster", str(tmp_path / "roster.csv"), "--late", "10"]
    assert main(words) == 0
    rows = {row["submission"]: row for row in csv.DictReader(io.StringIO(out.read_text(encoding="utf-8")))}
    assert (rows["Roe, Dan"]["points"], rows["Roe, Dan"]["taken"]) == ("80", "20")
    assert rows["Gone, Guy"]["remark"] == "nothing was handed in"
    assert "not on the list" in rows["bob"]["remark"]
    assert len(list(pages.glob("*.html"))) == len(rows) == 10
    assert "copy group 1" in capsys.readouterr().err
    assert main(["assignment", "grade", "a1", "--all", str(folder), "--format", "gradescope"]) == 1
    assert "csv, json, canvas, moodle" in capsys.readouterr().err
    assert main(["assignment", "grade", "a1", "--all", str(tmp_path / "none")]) == 1
    assert "none is no folder of submissions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"one": "def box_area(b): 1", "two": "def box_iou(a, b): 1"}, "several modules"), ({}, "there is no a1.py"),
        ({"one": "x = 1", "two": "y = 1"}, "there is no a1.py"),
    ],
)  # fmt: skip
def test_it_is_not_clear_which_file_is_meant(tmp_path, files, told):
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        read_submission(tmp_path, "a1", FUNCTIONS)


def test_the_module_that_defines_the_functions_is_taken(tmp_path):
    (tmp_path / "Boxes (1).py").write_text("def box_area(boxes):\n    return boxes\n", encoding="utf-8")
    (tmp_path / "try.py").write_text("print(1)", encoding="utf-8")
    source = read_submission(tmp_path, "a1", FUNCTIONS)
    assert source.text.startswith(b"def box_area")
    assert "taken from Boxes (1).py; a1.py is expected" in source.remark
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "a1.py").write_text("x = 1", encoding="utf-8")
    assert read_submission(tmp_path, "a1", FUNCTIONS).text == b"x = 1"


def test_links_and_bombs_are_not_read(tmp_path):
    (tmp_path / "a1.py").symlink_to(__file__)
    with pytest.raises(ValueError, match=r"there is no a1\.py"):
        read_submission(tmp_path, "a1", FUNCTIONS)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a1.py", bytes(2**23))
    with pytest.raises(ValueError, match="more than 4 MB"):
        read_submission(tmp_path / "bomb.zip", "a1", FUNCTIONS)


def test_a_notebooks_functions_and_nothing_else(tmp_path):
    first = "%matplotlib inline\n!ls\nimport numpy as np\nONE = 1\nprint(ONE)\n"
    second = "from __future__ import annotations\n@staticmethod\ndef f(x):\n    return x\nf(2)\nfor i in f(3): pass"
    book = notebook(tmp_path / "x.ipynb", first, second)
    lines = notebook_source(book.read_bytes()).decode().splitlines()
    assert lines == [
        "from __future__ import annotations", "import numpy as np", "ONE = 1", "@staticmethod", "def f(x):",
        "    return x",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="cannot be read"):
        notebook_source(b"[]")


VARIED = {
    "other names": lambda text: text.replace("keep", "chosen").replace("order", "rest"),
    "a docstring": lambda text: text.replace("0.5):\n", "0.5):\n    'All mine.'\n"),
    "numpy for np": lambda text: text.replace("numpy as np", "numpy").replace("np.", "numpy."),
    "an unused variable": lambda text: text.replace("    while", "    count = len(scores)\n    while"),
    "a comparison turned": lambda text: text.replace("iou <= iou_threshold", "iou_threshold >= iou"),
    "checks": lambda text: text.replace("    while", "    checks.number('x', iou_threshold)\n    while"),
}


@pytest.mark.parametrize("change", VARIED)
def test_copies_are_found_under_other_clothes(change):
    sources = {"ann": IDENTICAL, "bob": VARIED[change](IDENTICAL), "cyd": IDENTICAL.replace("<=", "!=")}
    assert sources["ann"] != sources["bob"]
    found = find_copies({name: text.encode() for name, text in sources.items()}, load("a2"))
    group = ["copy group 1 (2 submissions): nms"]
    assert found == {"ann": group, "bob": group, "cyd": []}


def test_ways_around_the_assignment_are_worth_a_look():
    source = "import pathlib\nexec(pathlib.Path('minidet/reference/losses.py').read_text())\nsys._getframe(1)\n"
    assert sorted(ways_around(source)) == ["exec", "pathlib", "sys._getframe", "the reference's name"]
    assert ways_around(solution("a1")) == []


def test_all_or_nothing():
    result = Result("a3", "somebody", [Row("focal_loss", share=0.9)], {"focal_loss": 15})
    assert result.total == 13.5
    result.partial = False
    assert result.total == 0


GRADESCOPE = {
    "score": (int, float), "execution_time": (int,), "output": (str,), "visibility": (str,),
    "stdout_visibility": (str,), "tests": (list,),
}  # fmt: skip
GRADESCOPE_TEST = {
    "score": (int, float), "max_score": (int, float), "name": (str,), "number": (str,), "output": (str,),
    "status": (str,), "visibility": (str,),
}  # fmt: skip


@pytest.mark.parametrize("visibility", report.VISIBILITIES)
def test_gradescopes_format(visibility):
    """Keys, types and words of the published specification of results.json."""
    rows = [Row("focal_loss", passed=["alpha"], share=1.0), Row("smooth_l1", remark="not written yet")]
    result = Result("a3", "somebody", rows, {"focal_loss": 15, "smooth_l1": 10})
    content = json.loads(report.gradescope(result, visibility))
    assert all(isinstance(content[key], kinds) for key, kinds in GRADESCOPE.items())
    assert content.keys() <= GRADESCOPE.keys()
    for test in content["tests"]:
        assert test.keys() == GRADESCOPE_TEST.keys()
        assert all(isinstance(test[key], kinds) for key, kinds in GRADESCOPE_TEST.items())
        assert test["status"] in ("passed", "failed")
        assert test["visibility"] == visibility
    assert content["score"] == sum(test["score"] for test in content["tests"]) == 15
    assert [test["status"] for test in content["tests"]] == ["passed", "failed"]


def test_points_are_those_of_the_instructor(folder):
    points = Points({"box_area": 50})
    (ann,) = (one for one in classroom.grade_all(folder, load("a1"), points=points) if one.name == "ann")
    assert (ann.result.total, ann.result.maximum) == (145, 145)
