"""One page with every figure and table, the published numbers beside ours, and a verdict for each claim.

    python -m figures.summary --out FOLDER

It is one HTML file that needs nothing else, and is read on a phone as well as on a wide screen, in light and in dark.
"""

from __future__ import annotations

import argparse
import base64
import io
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
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    figure6,
    figure7,
    imbalance,
    prior,
    script,
)  # fmt: skip
from minidet.experiments import claims, tables
from minidet.experiments.definitions import BASE, anchors_an_image
from minidet.experiments.results import Results, load_results
from minidet.plotting import STYLE

FIGURES: tuple[tuple[str, Callable[[Results], Figure], str], ...] = (
    ("Ours beside the published rows", ablations.draw, "AP of each row as a part of the best row's AP."),
    ("Where the focal loss starts to pay", imbalance.draw,
     "Not in the paper: the same images with fewer and fewer objects. Left the AP, right what the focal loss gains."),
    ("Cross entropy with and without the prior", prior.draw,
     "Section 5.1: π is every anchor's probability of every class when training starts. A cross: the run diverged."),
    ("Figure 1: the focal loss", lambda _: figure1.draw(),
     "Left as in the paper; right the numbers of its usual worked example."),
    ("Figure 2: time and accuracy", lambda _: figure2.draw(),
     "Published on COCO, and our time on our device, random weights."),
    ("Figure 3: RetinaNet", lambda _: figure3.draw(), "The architecture, with the shapes of a real forward pass."),
    ("Figure 4: who carries the loss", lambda _: figure4.draw(),
     "A converged detector, trained with γ = 2: its outputs' loss under four gammas, sorted and summed up."),
    ("Figure 5: FL*", lambda _: figure5.draw(), "Appendix A: another loss of the same kind."),
    ("Figure 6: derivatives", lambda _: figure6.draw(), "Appendix B."),
    ("Figure 7: a grid of FL*", figure7.draw,
     "Blue: effective, an AP at most half a point below FL's."),
)  # fmt: skip
"""Title, how it is drawn, caption."""

CLASSES = dict(zip(claims.KINDS, ("holds", "weakly", "fails", "missing"), strict=True))

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Focal loss at small scale: every figure and table</title>
<style>
:root { color-scheme: light dark; --ink: #1c1c1c; --soft: #5c5c5c; --page: #fbfbfa; --card: #fff; --line: #ddd;
  --holds: #00704f; --weakly: #8a5a00; --fails: #b13c00; --missing: #666; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --soft: #a8a8a8; --page: #161616; --card: #202020;
  --line: #3b3b3b; --holds: #4cc9a0; --weakly: #e6b450; --fails: #ff8f5a; --missing: #a0a0a0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--page); }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.3rem; }
h3 { margin: 2rem 0 .25rem; font-size: 1.05rem; }
p, li { max-width: 46rem; } .soft { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
.wide:focus-visible { outline: 2px solid var(--soft); }
figure { margin: 0 0 .5rem; } figure.wide { background: #fff; padding: .5rem; }
figure img { display: block; width: 100%; height: auto; margin: 0 auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; } th { color: var(--soft); font-weight: 600; }
td.text { text-align: left; }
.claim { background: var(--card); border: 1px solid var(--line); border-left-width: 5px; border-radius: 6px;
  padding: .5rem .8rem; margin: .5rem 0; overflow-wrap: anywhere; }
.claim p { margin: .15rem 0; max-width: none; } .claim b { margin-right: .5rem; }
.holds { border-left-color: var(--holds); } .holds b { color: var(--holds); }
.weakly { border-left-color: var(--weakly); } .weakly b { color: var(--weakly); }
.fails { border-left-color: var(--fails); } .fails b { color: var(--fails); }
.missing { border-left-color: var(--missing); } .missing b { color: var(--missing); }
code { font-size: .9em; overflow-wrap: anywhere; }
</style>
<h1>Focal loss at small scale: every figure and table of the paper, run</h1>
<p>Lin et al., <i>Focal Loss for Dense Object Detection</i> (2017), trained on COCO with eight GPUs. Here the question
of each table is asked again at small scale, on images of drawn shapes: does the same thing happen? AP of two data sets
cannot be compared; which setting is better than which can.</p>
<p>$setting</p>
<p>$effort</p>
<h2>Verdicts: $count</h2>
$claims
<details><summary>The rule</summary>$rule</details>
<h2>Figures</h2>
$figures
<h2>Tables</h2>
<p class="soft">AP in percent. Ours: mean ± standard deviation over the seeds; “1 only” marks a single one.</p>
$tables
</html>
""")


def page(results: Results | None = None) -> str:
    """The whole page as HTML."""
    results = results or load_results()
    verdicts = [(claim, claim.judge(results)) for claim in claims.CLAIMS]
    kinds = Counter(verdict.kind for _, verdict in verdicts)
    return PAGE.substitute(
        setting=escape(setting()),
        effort=escape(effort(results)),
        count=escape(", ".join(f"{kind} {kinds[kind]}" for kind in claims.KINDS if kinds[kind])),
        claims="\n".join(_claim(claim, verdict) for claim, verdict in verdicts),
        rule=_rule(),
        figures="\n".join(_figure(*entry, results) for entry in FIGURES),
        tables="\n".join(_table(name, results) for name in tables.NAMES),
    )


def setting() -> str:
    """The small setting in words, from its configuration."""
    model, training, data = BASE.model, BASE.training, BASE.data
    height, width = data["image_size"]
    start = "from random weights"
    if BASE.backbone:
        start = "from the backbone of a detector that learnt crowded shapes, where the paper has one from ImageNet"
    (low, high), (few, many) = data["objects"], data["distractors"]
    objects = "one object" if (low, high) == (1, 1) else f"{low} to {high} objects"
    return (
        f"The setting, where a row does not change it: images of {width} × {height} pixels with {objects} "
        f"of {model.num_classes} classes and {few} to {many} distractors, shapes that are none of them; a "
        f"ResNet-{model.depth} of {model.width} channels with a pyramid of {len(model.anchors.levels)} levels, "
        f"{anchors_an_image():,} anchors an image; {training.iterations:,} steps of "
        f"{training.batch_size} images, {training.optimizer.upper()}, learning rate {training.learning_rate:g}, "
        f"{start}; AP on {BASE.val['images']} unseen images at the end."
    )


def effort(results: Results) -> str:
    """How many runs, seeds and hours are behind the page, and on what."""
    used = results.used
    if not used:
        return "No experiment has been run yet: minidet experiments run."
    seeds = len({run["seed"] for run in used})
    configurations = sum(1 for runs in results.by_identity.values() if any(run in used for run in runs.values()))
    hours = sum(run["cpu_seconds"] for run in used) / 3600
    devices = ", ".join(sorted({f"{run['device']} in {run['precision']}" for run in used}))
    commits = sorted({(run["commit"] or "unknown")[:7] for run in used})
    return (
        f"Behind it are {len(used)} runs of {configurations} configurations, up to {seeds} seeds each: {hours:.1f} "
        f"hours of processor time on {devices}, at commit {', '.join(commits)}. Every run is a JSON file "
        "in minidet/experiments/runs; it holds the command that runs it again."
    )


def _claim(claim: claims.Claim, verdict: claims.Verdict) -> str:
    return (
        f'<div class="claim {CLASSES[verdict.kind]}"><p><b>{verdict.kind}</b>{escape(claim.text)}.</p>'
        f'<p class="soft">The paper ({escape(claim.section)}): {escape(claim.published)}. Here: '
        f"{escape(verdict.numbers)}.</p>"
        + (f'<p class="soft">{escape(verdict.why)}.</p>' if verdict.why else "")
        + "</div>"
    )


def _rule() -> str:
    """The rule as the docstring of `minidet.experiments.claims` states it, as HTML."""
    _, *items = (claims.__doc__ or "").partition("The rule")[2].split("\n- ")
    last, _, end = items[-1].partition("\n\n")
    text = "".join(f"<li>{' '.join(escape(item).split())}</li>" for item in [*items[:-1], last])
    text = f"<ul>{text}</ul><p>{' '.join(escape(end).split())}</p>".replace("NEAR points", f"{claims.NEAR:g} point")
    return re.sub(r"\*(.+?)\*", r"<b>\1</b>", text.replace("**", "*"))


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


def _table(name: str, results: Results) -> str:
    title, header, rows, notes = tables.content(name, results)

    def cells(row: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"

    body = "\n".join(cells(row, "td") for row in rows)
    told = "".join(f'<p class="soft">{escape(note)}</p>' for note in notes)
    table = f"<table>{cells(header, 'th')}\n{body}</table>"
    return f'<h3>{escape(title)}</h3>\n<div class="wide" tabindex="0">{table}</div>{told}'


def main(arguments: list[str] | None = None) -> list[Path]:
    """Write summary.html."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=script.DEFAULT_OUT, help="folder (default: %(default)s)")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    return [script.write_text(options.out / "summary.html", page())]


if __name__ == "__main__":
    main()
