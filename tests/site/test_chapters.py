"""The chapters: each runs and says what its committed outputs say, is small and clean, and the index leads to it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from chapters import execute

pytestmark = pytest.mark.slow

FOLDER = Path(execute.__file__).parent
ROOT = FOLDER.parent
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
LOCAL = re.compile(
    r"(?<![\w.~/:-])/(?:home|root|tmp|var|usr|opt|mnt|work|Users|private)/|[A-Z]:\\\\?Users|file://"
    r"|localhost|127\.0\.0\.1|<ipython-input|/ipykernel_"
)
"""What only one machine has: absolute paths, addresses, names of the kernel's temporary files."""


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_chapter_gives_its_committed_outputs(name):
    kept = nbformat.read(FOLDER / name, as_version=4)
    again = execute.execute(FOLDER / name)
    sources = [cell.source for cell in kept.cells if cell.cell_type == "code"]
    for source, before, now in zip(sources, execute.texts(kept), execute.texts(again), strict=True):
        assert now == before, f"run `make chapters`; this cell says something else now:\n{source}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_chapter_is_committed_clean(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert len(text.encode()) < 500_000
    assert faults(notebook) == []


@pytest.mark.parametrize("name", [*NOTEBOOKS, "README.md"])
def test_what_a_chapter_links_to_exists(name):
    assert broken_links(name, prose(FOLDER / name)) == []


def test_the_index_leads_to_every_chapter_in_order():
    linked = [target for target in links((FOLDER / "README.md").read_text(encoding="utf-8")) if ".ipynb" in target]
    assert NOTEBOOKS, "there are no chapters"
    assert [name for name in dict.fromkeys(linked) if name in NOTEBOOKS] == NOTEBOOKS


@pytest.fixture
def notebook(tmp_path):
    """Makes a notebook file of code cells."""

    def make(*sources: str, tags: tuple[str, ...] = ()) -> Path:
        cells = [new_code_cell(source, metadata={"tags": list(tags)}) for source in sources]
        path = tmp_path / "small.ipynb"
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return make


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_index_says_the_minutes_that_the_chapter_says(name):
    text = execute.INDEX.read_text(encoding="utf-8")
    seconds = float(re.search(rf"^\|.*\({name}\).*\| (\d+) s \|$", text, re.MULTILINE)[1])
    notebook = nbformat.read(FOLDER / name, as_version=4)
    assert execute.index_times(text, name, notebook, seconds) == text
    changed = execute.index_times(text, name, notebook, seconds + 7)
    assert changed == re.sub(rf"(\({name}\).*\| )\d+( s \|)", rf"\g<1>{seconds + 7:.0f}\2", text)


def test_execution_keeps_outputs_and_check_finds_those_that_changed(notebook, capfd):
    path = notebook("x = 6", "print(x * 7)\nx")
    assert execute.main([str(path)]) == 0
    assert execute.texts(nbformat.read(path, as_version=4)) == ["", "42\n6"]
    first = path.read_bytes()
    assert execute.main([str(path)]) == 0
    assert path.read_bytes() == first, "two executions of one notebook make two files"
    assert execute.main(["--check", str(path)]) == 0
    path.write_text(path.read_text().replace("42", "43"))
    assert execute.main(["--check", str(path)]) == 1
    out, err = capfd.readouterr()
    assert "code cells [2] say something else now" in out
    assert err == ""


def test_a_cell_that_fails_leaves_the_file_alone(notebook):
    path = notebook("1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute.main([str(path)])
    assert path.read_bytes() == before


def test_a_cell_with_the_tag_may_say_something_else(notebook):
    path = notebook("import time; print(time.perf_counter())", tags=("not-compared",))
    execute.main([str(path)])
    assert execute.main(["--check", str(path)]) == 0


def test_notebooks_run_with_this_python_whatever_kernels_the_user_has(notebook, tmp_path, monkeypatch):
    kernel = tmp_path / "data" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "", "language": "python"}))
    for variable in ("JUPYTER_PATH", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "data"))
    run = execute.execute(notebook("import os, sys\nprint(sys.executable, os.getcwd(), sep='\\n')"))
    assert execute.texts(run) == [f"{sys.executable}\n{FOLDER}\n"]


def test_displayed_text_counts_and_pictures_do_not():
    shown = new_output("display_data", data={"text/markdown": "*source*", "text/plain": "<object>"})
    picture = new_output("display_data", data={"image/png": "…", "text/plain": "<Figure>"})
    warning = new_output("stream", name="stderr", text="careful")
    cells = [new_code_cell(outputs=[shown, picture, warning]), new_markdown_cell("text"), new_code_cell()]
    assert execute.texts(new_notebook(cells=cells)) == ["*source*<Figure>", ""]


@pytest.mark.parametrize(
    ("fault", "cell"),
    [
        ("stderr", new_code_cell(outputs=[new_output("stream", name="stderr", text="careful")])),
        ("fails", new_code_cell(outputs=[new_output("error", ename="E", evalue="", traceback=[])])),
        ("picture", new_code_cell(outputs=[new_output("display_data", data={"text/plain": "<Figure size 9x9>"})])),
        ("execution count", new_code_cell(execution_count=7)),
        ("'/home/'", new_code_cell("open('/home/me/x')", execution_count=1)),
        ("'/ipykernel_'", new_code_cell(execution_count=1, outputs=[new_output("stream", text="/ipykernel_7/8.py")])),
        ("id", new_markdown_cell("text", id="a1b2c3")),
    ],
)
def test_faults_are_found(fault, cell):
    if fault != "id":
        cell["id"] = "cell-1"
    (found,) = faults(new_notebook(cells=[cell], metadata=METADATA))
    assert fault in found


def test_broken_links_are_found():
    text = "[a](missing.ipynb) [b](README.md#nowhere) ![c](../nothing.png) [d](execute.py) [e](https://example.org/x)"
    assert broken_links("x", text) == ["missing.ipynb", "README.md#nowhere", "../nothing.png"]


METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def faults(notebook) -> list[str]:
    """What a committed notebook must not have."""
    found = [] if notebook.metadata == METADATA else ["metadata other than the kernel's name"]
    count = 0
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.id != f"cell-{number}":
            found.append(f"cell {number} has the id {cell.id}: write it with chapters/execute.py")
        said = json.dumps([cell.source, *cell.get("outputs", [])], ensure_ascii=False)
        found += [f"cell {number} holds {match.group()!r}" for match in LOCAL.finditer(said)]
        if cell.cell_type != "code":
            continue
        count += 1
        kinds = {output.output_type for output in cell.outputs}
        if "error" in kinds:
            found.append(f"cell {number} fails")
        elif any(output.get("name") == "stderr" for output in cell.outputs):
            found.append(f"cell {number} writes to stderr")
        elif any(
            "<Figure" in o.get("data", {}).get("text/plain", "") and "image/png" not in o.data for o in cell.outputs
        ):
            found.append(f"cell {number} shows no picture: begin the notebook with %matplotlib inline")
        elif cell.execution_count != count:
            found.append(f"cell {number} has execution count {cell.execution_count}, not {count}")
    return found


def prose(path: Path) -> str:
    """The Markdown of a file or of a notebook's cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = nbformat.reads(text, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def links(text: str) -> list[str]:
    """Targets of Markdown links and pictures, code and formulas aside."""
    text = re.sub(r"```.*?```|\$\$.*?\$\$|`[^`\n]*`|\$[^$\n]*\$", "x", text, flags=re.DOTALL)
    return [unquote(target) for target in re.findall(r"\]\(<?([^)\s>]+)", text)]


def broken_links(name: str, text: str) -> list[str]:
    """Links to files that are not there or outside the project, and to headings that a Markdown file does not have."""
    broken = []
    for target in links(text):
        if re.match(r"https?://|mailto:", target):
            continue
        file, _, heading = target.partition("#")
        path = (FOLDER / (file or name)).resolve()
        if not (path.exists() and path.is_relative_to(ROOT)) or (
            heading and path.suffix in (".md", ".ipynb") and heading.lower() not in headings(prose(path))
        ):
            broken.append(target)
    return broken


def headings(text: str) -> set[str]:
    """The anchors that GitHub and Jupyter make of headings, in lower case."""
    titles = [re.sub(r"[`*$]", "", title).strip().lower() for title in re.findall(r"^#+ (.*)$", text, flags=re.M)]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles} | {
        title.replace(" ", "-") for title in titles
    }
