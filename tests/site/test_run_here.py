"""The button "Run it here": which cells it collects, what it asks Pyodide for, and how outputs are shown.

There is no network here, so a stand-in takes Pyodide's place in the browser; the Python part runs in this Python.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from chapters.site import build, runnable
from minidet.files import write_text
from tests.site import browser

pytestmark = pytest.mark.slow

PAGE = """<p><span id="run-here"></span><script src="play/run.js" defer></script></p>
<div class="cell"><div class="cell_input"><div class="highlight"><pre><span>a</span> = 1\n</pre></div></div></div>
<div class="cell"><details><summary>code</summary><div class="cell_input"><pre>a &lt; 2</pre></div></details>
<div class="cell_output">before</div></div>
<pre>no cell</pre>"""
STAND_IN = """window.asked = [];
function loadPyodide() {
  const answers = [[["text", "printed"]], [["html", "<b>bold</b>"], ["png", "iVBORw0KGgo="], ["error", "wrong"]]];
  return {
    loadPackage: names => asked.push(names),
    unpackArchive: (buffer, kind, { extractDir }) => asked.push([kind, extractDir, buffer.byteLength]),
    runPython: code => asked.push(code),
    pyimport: name => ({ run: source => { asked.push(source); return JSON.stringify(answers.shift()); } }),
  };
}"""


TOLD = "document.querySelector('#run-here > [aria-live]').textContent"


def ran(*cells: str) -> list[list[list[str]]]:
    """What the cells show, one after the other in one Python."""
    code = f"import sys; sys.path.insert(0, {str(build.HERE)!r})\nimport here\n"
    code += f"for cell in {cells!r}: print(here.run(cell))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.subprocess
def test_cells_show_what_a_notebook_shows():
    shown = ran(
        "%matplotlib inline\nimport inspect\na = 1\nprint('so')\na + 1",
        "a;",
        "def f():\n    return 3\nprint(inspect.getsource(f))",
        "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))",
        "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])",
        "1 / 0",
    )
    assert shown[0] == [["text", "so\n"], ["text", "2"]]
    assert shown[1] == []
    assert shown[2] == [["text", "def f():\n    return 3\n\n"]]
    assert shown[3] == [["html", "<b>x</b>"]]
    assert [kind for kind, _ in shown[4]] == ["png"]
    assert shown[5][0][0] == "error"
    assert "ZeroDivisionError" in shown[5][0][1]


@pytest.mark.skipif(browser.MISSING != "", reason=browser.MISSING or "-")
def test_the_button_runs_the_cells_in_order(tmp_path):
    build.pages(tmp_path)
    page_path = write_text(tmp_path / "page.html", PAGE)
    write_text(tmp_path / "mirror" / "pyodide.js", STAND_IN)
    with browser.browser() as chromium, browser.opened(chromium, page_path, 390) as (page, complaints):
        page.click("summary >> text=How this runs")
        page.fill("[aria-label='Address of Pyodide']", (tmp_path / "mirror").as_uri())
        page.click("text=Run it here")
        page.wait_for_function(f"{TOLD}.includes('ran here')", timeout=60_000)
        assert page.inner_text("#run-here [aria-live]") == "2 cells ran here, 1 of them with an error."
        packages, archive, path, *sources = page.evaluate("asked")
        assert {"numpy", "matplotlib"} <= set(packages)
        assert archive == ["zip", "/book", len(runnable.archive())]
        assert "/book" in path
        assert sources == ["a = 1\n", "a < 2"]
        assert page.locator(".cell").nth(0).locator(".ran").inner_text() == "printed"
        assert "before" not in page.locator(".cell").nth(1).inner_text()
        assert page.locator(".ran b").count() == page.locator(".ran img").count() == 1
        assert not browser.scrolls_sideways(page)
        assert [told for told in complaints if "image" not in told] == []


@pytest.mark.skipif(browser.MISSING != "", reason=browser.MISSING or "-")
def test_without_a_network_the_button_says_so(tmp_path):
    build.pages(tmp_path)
    path = write_text(tmp_path / "page.html", PAGE)
    with browser.browser() as chromium, browser.opened(chromium, path, 390) as (page, _):
        page.click("text=Run it here")
        page.wait_for_function(f"{TOLD}.includes('cannot be loaded')", timeout=60_000)
        assert page.is_enabled("text=Run it here")
