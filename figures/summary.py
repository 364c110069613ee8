"""One page with every figure and table, the published numbers beside ours, and a verdict for each claim.

    python -m figures.summary --out FOLDER

It is one HTML file that needs nothing else, and is read on a phone as well as on a wide screen, in light and in dark.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from string import Template

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from figures import (
    ablations,
    dots,
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    figure6,
    figure7,
    imbalance,
    minutes,
    prior,
    questions,
    recall,
    script,
)  # fmt: skip
from figures.summary_text import differences, effort, setting
from minidet.experiments import claims, layout, tables, verdicts
from minidet.experiments.claim import Claim
from minidet.experiments.conclusion import best_of_each, conclusion, in_a_line, on_photographs
from minidet.experiments.results import RESULTS, Results, load_results
from minidet.experiments.rule import RULE
from minidet.files import write_text
from minidet.plotting import STYLE

FIGURES: tuple[tuple[str, Callable[[Results], Figure], str], ...] = (
    ("Ours beside the published rows", ablations.draw, "AP of each row as a fraction of the best row's AP."),
    ("Where the focal loss starts to pay", imbalance.draw,
     "Not in the paper: fewer and fewer objects per image, and so fewer seen in training. Left the AP, right what the "
     "focal loss gains."),
    ("What the tables leave open", questions.draw,
     "Not in the paper: background around one object, steps, OHEM's batch beside a tuned focal loss, hard negatives, "
     "photographs."),
    ("Precision and recall", recall.draw,
     "Not in the paper: after ten times as many steps, precision against recall, and the recall of 1, 10 and 100 "
     "detections."),
    ("Minutes and milliseconds", minutes.draw,
     "Not in the paper: AP against the time of training, and against that of looking at an image."),
    ("Cross entropy with and without the prior", prior.draw,
     "Section 5.1: π is the probability of each class at each anchor when training starts. A cross: a diverged run."),
    ("Figure 1: the focal loss", lambda _: figure1.draw(),
     "Left as in the paper; right the numbers of its usual worked example."),
    ("Figure 2: time and accuracy", lambda _: figure2.draw(),
     "Published: AP on COCO and time on an M40. Ours: time on our device, with random weights."),
    ("Figure 3: RetinaNet", lambda _: figure3.draw(), "The architecture, with the shapes of a real forward pass."),
    ("Figure 4: who carries the loss", lambda _: figure4.draw(),
     "A detector trained with γ = 2 for 6,000 steps: the loss of its outputs under four gammas, sorted and summed up."),
    ("Figure 5: FL*", lambda _: figure5.draw(), "Appendix A: another loss of the same kind."),
    ("Figure 6: derivatives", lambda _: figure6.draw(), "Appendix B."),
    ("Figure 7: a grid of FL*", figure7.draw,
     "Blue: effective, an AP at most half a point below FL's."),
)  # fmt: skip
"""Title, how it is drawn, caption."""

CLASSES = dict(zip(verdicts.KINDS, ("supported", "contradicted", "undecided", "untestable"), strict=True))

_TABLE_OF = {row.name: name for name in reversed(tables.NAMES) if name in layout.TABLES
             for row in layout.TABLES[name].rows}  # fmt: skip
"""The first table in which an experiment stands."""
_ROW = re.compile(rf"(?<![\w/])({'|'.join(map(re.escape, sorted(_TABLE_OF, key=len, reverse=True)))})(?= )")

PAGE = Template((Path(__file__).parent / "summary_page.html").read_text(encoding="utf-8"))


def page(results: Results | None = None, runs: str | None = None) -> str:
    """The whole page as HTML.

    Args:
        results: the runs; None for the committed ones.
        runs: where the page finds the files of the runs, relative to itself; None for no links to them.
    """
    results = results or load_results()
    judged = claims.judged(results)
    kinds = Counter(verdict.kind for _, verdict in judged)
    return PAGE.substitute(
        setting=escape(setting()),
        differences=escape(differences()),
        effort=escape(effort(results)),
        count=escape(", ".join(f"{kind} {kinds[kind]}" for kind in verdicts.KINDS if kinds[kind])),
        line=escape(in_a_line(results) or "The runs that a conclusion would rest on are not all here."),
        conclusion="</p>\n<p>".join(map(escape, (conclusion(judged), best_of_each(results), on_photographs(results)))),
        claims="\n".join(_claim(claim, verdict, claim.look(results)) for claim, verdict in judged),
        filter=_filter(kinds),
        theirs=sum(bool(claim.numbers) for claim, _ in judged),
        own=sum(not claim.numbers for claim, _ in judged),
        rule=_rule(),
        figures="\n".join(_figure(*entry, results) for entry in FIGURES),
        tables="\n".join(_table(name, results, runs) for name in tables.NAMES),
    )


def _claim(claim: Claim, verdict: verdicts.Verdict, why: str) -> str:
    return (
        f'<div class="claim {CLASSES[verdict.kind]}"><p><b>{verdict.kind}</b>{escape(claim.text)}.</p>'
        f'<p class="soft">The paper ({escape(claim.section)}): {escape(claim.published)}. Here{_links(claim)}: '
        f"{_linked(escape(str(verdict)))}.</p>"
        + (f'<p class="soft">What else was measured: {escape(why)}.</p>' if why else "")
        + "</div>"
    )


def _filter(kinds: Counter[str]) -> str:
    """Buttons that choose which claims are shown, without a script: those that the runs speak about to begin with."""
    shown = kinds.total() - kinds[verdicts.NOT_TESTABLE]
    choices = [("tested", "tested here", shown), ("all", "all", kinds.total())]
    choices += [(CLASSES[kind], kind, kinds[kind]) for kind in verdicts.KINDS]
    return "".join(
        f'<input type="radio" name="kind" id="show-{name}"{" checked" * (name == "tested")}>'
        f'<label for="show-{name}">{escape(label)} {count}</label>'
        for name, label, count in choices
    )


def _links(claim: Claim) -> str:
    """Links to the tables in which a claim's rows stand."""
    links = ", ".join(f'<a href="#table-{name}">{name}</a>' for name in claim.tables)
    return f" (table {links})" if links else ""


def _linked(text: str) -> str:
    """The names of experiments as links to their rows."""
    return _ROW.sub(lambda found: f'<a href="#row-{found[0]}">{found[0]}</a>', text)


def _rule() -> str:
    """The rule as HTML."""
    items = "".join(f"<li>{escape(item)}</li>" for item in RULE)
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", f"<ul>{items}</ul>")


def _figure(title: str, draw: Callable[[Results], Figure], caption: str, results: Results) -> str:
    with matplotlib.rc_context(STYLE):
        drawn, small, figure = io.BytesIO(), io.BytesIO(), draw(results)
        inches = figure.get_figwidth()
        figure.savefig(drawn, format="png", dpi=110)
    with Image.open(drawn) as image:  # 128 colours are enough for lines and letters, and a third of the size
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    data = base64.b64encode(small.getvalue()).decode()
    return (
        f"<h3>{escape(title)}</h3>\n"
        f'<figure class="wide" tabindex="0"><img alt="{escape(title)}" style="min-width: {4 * inches:.0f}rem; '
        f'max-width: {8 * inches:.0f}rem" src="data:image/png;base64,{data}"></figure>\n'
        f'<p class="soft">{escape(caption)}</p>'
    )


def _table(name: str, results: Results, runs: str | None) -> str:
    table = tables.content(name, results)
    names = [row.name for row in layout.TABLES[name].rows] if name in layout.TABLES else []
    aps = [value for one in names if (score := results.score(one)) for value in score.values]
    table.header.extend(["each seed"] * bool(aps))

    def cells(row: Sequence[str], tag: str, more: str = "", experiment: str = "") -> str:
        own = f' id="row-{experiment}"' if _TABLE_OF.get(experiment) == name else ""
        return f"<tr{own}>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + more + "</tr>"

    seeds = [dots.cell(results, one, max(*aps, 1.0), runs) for one in names] if aps else [""] * len(table.body)
    lines = zip(table.body, seeds, names or [""] * len(table.body), strict=True)
    body = "\n".join(cells(row, "td", more, experiment) for row, more, experiment in lines)
    told = "".join(f'<p class="soft">{escape(note)}</p>' for note in table.notes)
    drawn = f"<table>{cells(table.header, 'th')}\n{body}</table>"
    return f'<h3 id="table-{name}">{escape(table.title)}</h3>\n<div class="wide" tabindex="0">{drawn}</div>{told}'


def main(arguments: list[str] | None = None) -> list[Path]:
    """Write summary.html."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=script.DEFAULT_OUT, help="folder (default: %(default)s)")
    options = parser.parse_args(arguments)
    runs = os.path.relpath(RESULTS, options.out).replace(os.sep, "/")
    path = write_text(options.out / "summary.html", page(runs=runs) + "\n")
    print(path)
    return [path]


if __name__ == "__main__":
    main()
