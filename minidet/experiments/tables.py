"""Tables 1 to 3 of the paper beside ours, and those of our own that belong to its text.

    python -m minidet.experiments.tables 1b

The published numbers are COCO's, ours are of shapes at small scale: what can be compared is which row is the better.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minidet.experiments import claims, imbalance, speed
from minidet.experiments import definitions as experiments
from minidet.experiments import published as paper
from minidet.experiments.results import Results, Score, load_results, spearman
from minidet.files import write_text

METRICS = ("AP", "AP50", "AP75")


RIVALS = dict(
    zip(experiments.RIVALS, ("FL, γ = 2", "CE, α = .75", "OHEM, 32, NMS .5", "FL*, γ = 2, β = 1"), strict=True)
)
"""How they are called."""


@dataclass(frozen=True)
class Row:
    """One row: what is varied, the published numbers if there are any, and the experiment that stands for it."""

    keys: tuple[str, ...]
    published: tuple[float, ...] | None
    """AP, AP50, AP75 in percent."""
    name: str | None = None


@dataclass(frozen=True)
class Table:
    """What is varied, by name, and the rows."""

    title: str
    keys: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


def _tables() -> dict[str, Table]:
    focal, anchors = experiments.FL, experiments.anchors_an_image()
    chosen, steps = experiments.BASE.training.learning_rate, experiments.BASE.training.iterations
    tables = {
        "1a": Table("Table 1a: cross entropy, varying α", ("α",), tuple(
            Row((f"{alpha:g}",), published, experiments.ce(alpha)) for alpha, published in paper.TABLE_1A.items()
        )),
        "1b": Table("Table 1b: focal loss, varying γ", ("γ", "α"), tuple(
            Row((f"{gamma:g}", f"{alpha:g}"), published, experiments.fl(gamma))
            for (gamma, alpha), published in paper.TABLE_1B.items()
        ) + tuple(Row(("2", f"{alpha:g}"), None, f"{focal},alpha={alpha:g}") for alpha in experiments.MORE_ALPHAS)),
        "1c": Table("Table 1c: scales and aspect ratios of the anchors", ("scales", "ratios"), tuple(
            Row((str(scales), str(ratios)), published, experiments.anchors(scales, ratios))
            for (scales, ratios), published in paper.TABLE_1C.items()
        )),
        "1d": Table(
            "Table 1d: focal loss against online hard example mining", ("method", "batch", "our batch", "NMS"),
            tuple(
                Row(
                    ({"ohem": "OHEM", "ohem_1_3": "OHEM 1:3"}[loss], str(batch), str(experiments.OHEM_BATCH[batch]),
                     f"{threshold:g}"),
                    published, experiments.ohem(loss, batch, threshold),
                )
                for (loss, batch, threshold), published in paper.TABLE_1D.items()
            ) + (Row(("FL", "", "", ""), paper.TABLE_1D_FOCAL, focal),),
            f"The paper chooses from about 100,000 anchors, ours from {anchors:,}; its network had 101 layers.",
        ),
        "3": Table("Table 3: FL* in the place of FL", ("loss", "γ", "β"), tuple(
            Row(
                (loss, "" if gamma is None else f"{gamma:g}", "" if beta is None else f"{beta:g}"), published,
                experiments.ce(0.75) if gamma is None else focal if beta is None else experiments.star(gamma, beta),
            )
            for (loss, gamma, beta), published in paper.TABLE_3.items()
        )),
        "7": Table("Figure 7: FL* over a grid", ("γ", "β"), tuple(
            Row((f"{gamma:g}", f"{beta:g}"), None, experiments.star(gamma, beta))
            for gamma in experiments.STAR_GAMMAS for beta in experiments.STAR_BETAS
        )),
        "pi": Table("Section 5.1: the prior π of the initialisation", ("loss", "optimizer", "π"), tuple(
            Row((loss, optimizer, f"{pi:g}"), (paper.CE_WITH_PRIOR,) if (key, pi) == ("ce", 0.01) else None,
                experiments.prior(key, pi))
            for loss, optimizer, key, priors in (
                ("CE", "SGD", "ce", experiments.PRIORS), ("CE", "AdamW", "ce-adamw", (0.5, 0.01)),
                ("FL", "SGD", "fl", experiments.PRIORS),
            )
            for pi in priors
        ), "The paper reports that CE without the prior (π = .5) diverged."),
        "hinge": Table("Section 5.1: hinge loss", ("margin",), tuple(
            Row((f"{margin:g}",), None, f"hinge/margin={margin:g}") for margin in experiments.HINGE_MARGINS
        ), "The paper reports that it was unstable and gave no meaningful results."),
        "imbalance": Table("Our own: from many objects an image to one", ("objects", "loss"), tuple(
            Row((str(objects), label), None, experiments.crowd(objects, loss))
            for objects in experiments.OBJECTS
            for loss, label in (("focal", "FL, γ = 2"), ("balanced", "CE, α = .75"), ("ce", "CE"))
        )),
        "1e-small": Table("Table 1e at small scale: depth and size of the image", ("depth", "scale"), tuple(
            Row((str(depth), str(side)), None, f"1e/depth={depth},scale={side}")
            for depth in experiments.DEPTHS for side in experiments.SCALES
        ), "A quarter-width network. An image of another size is enlarged or reduced before it is looked at."),
        "lr": Table("Our own: other learning rates", ("loss", "learning rate"), tuple(
            Row((RIVALS[name], f"{rate:g}"), None, name if rate == chosen else experiments.rate(name, rate))
            for name in experiments.RIVALS for rate in sorted({chosen, *experiments.RATES})
        ), f"{chosen:g} was chosen before anything was compared, and is everybody's."),
        "longer": Table(f"Our own: {experiments.LONGER} times as many steps", ("loss", "steps"), tuple(
            Row((RIVALS[name], f"{steps * factor:,}"), None, experiments.longer(name) if factor > 1 else name)
            for name in experiments.RIVALS for factor in (1, experiments.LONGER)
        )),
    }  # fmt: skip
    return tables


TABLES: Mapping[str, Table] = _tables()
"""Those that hold an experiment a row; 1e and 2 are apart."""
NAMES = ("1a", "1b", "1c", "1d", "1e", "1e-small", "2", "3", "7", "pi", "hinge", "imbalance", "lr", "longer")


def text(name: str, results: Results) -> str:
    """A table for the terminal, with the rank correlation and the verdicts of the claims that rest on it.

    Raises ValueError for a name that is none of NAMES.
    """
    title, header, rows, notes = content(name, results)
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    lines = [title, "", "  ".join(cell.rjust(width) for cell, width in zip(header, widths, strict=True))]
    lines += ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines += ["", *notes] if notes else []
    for claim in claims.CLAIMS:
        if name in claim.tables:
            verdict = claim.judge(results)
            lines += [f"{verdict.kind}: {claim.text} ({claim.section})", f"    {verdict.numbers}"]
            lines += [f"    {verdict.why}"] if verdict.why else []
    return "\n".join(lines)


def content(name: str, results: Results) -> tuple[str, list[str], list[list[str]], list[str]]:
    """Title, names of the columns, rows and notes of one of NAMES, as text."""
    if name == "1e":
        return _speed()
    if name == "2":
        return _state_of_the_art(results)
    if name not in TABLES:
        raise ValueError(f"{name} is no table: there are {', '.join(NAMES)}")
    table = TABLES[name]
    published = any(row.published for row in table.rows)
    header = [*table.keys, *(["paper AP", "AP50", "AP75"] if published else []), "our AP", "AP50", "AP75", "seeds"]
    rows = []
    for row in table.rows:
        cells = [f"{value:.1f}" for value in row.published or ()]
        ours = [results.score(row.name, metric) if row.name else None for metric in METRICS]
        rows.append(
            [*row.keys, *(cells + [""] * (3 - len(cells)) if published else []), *_ours(ours, results, row.name)]
        )
    if name == "1c":  # an object that no anchor fits cannot be found, whatever the loss
        header.append("objects reached")
        for cells, row in zip(rows, table.rows, strict=True):
            cells.append(f"{imbalance.reached(row.name):.0%}" if row.name else "")
    notes = [table.note] if table.note else []
    if published and (rho := correlation(table.rows, results)):
        notes.append(rho)
    missing = [row.name for row in table.rows if row.name and results.score(row.name) is None]
    if missing:
        notes.append(f"not run yet: {len(missing)} of {len(table.rows)} rows; minidet experiments run {name}")
    return table.title, header, rows, notes


def correlation(rows: Sequence[Row], results: Results) -> str:
    """Spearman's rank correlation between the published APs and ours, in words; empty for fewer than three rows."""
    pairs = [(row.published[0], results.score(row.name)) for row in rows if row.published and row.name]
    both = [(published, ours.mean) for published, ours in pairs if ours is not None]
    if len(both) < 3:
        return ""
    return (
        f"rank correlation of our AP with the paper's: {spearman(*zip(*both, strict=True)):.2f} over {len(both)} rows"
    )


def _ours(scores: Sequence[Score | None], results: Results, name: str | None) -> list[str]:
    """Our AP with its spread, AP50, AP75, and the number of seeds, with what diverged."""
    ap = scores[0]
    if ap is None or name is None:
        return ["–", "–", "–", "not run"]
    spread = f" ± {ap.deviation:.1f}" if ap.n > 1 else ""
    diverged = results.diverged(name)
    seeds = ("1 only" if ap.n == 1 else str(ap.n)) + (f", {diverged} diverged" if diverged else "")
    return [f"{ap.mean:.1f}{spread}", *(f"{score.mean:.1f}" for score in scores[1:] if score), seeds]


def _speed() -> tuple[str, list[str], list[list[str]], list[str]]:
    measured = speed.load()
    ours = {(row["depth"], row["scale"]): row["milliseconds"] for row in measured["rows"]} if measured else {}
    header = ["depth", "scale", "paper AP", "AP50", "AP75", "APs", "APm", "APl", "paper ms", "our ms"]
    rows = [
        [str(depth), str(scale), *(f"{value:.1f}" for value in values[:6]), f"{values[6]:.0f}",
         f"{ours[depth, scale]:.0f}" if (depth, scale) in ours else "–"]
        for (depth, scale), values in paper.TABLE_1E.items()
    ]  # fmt: skip
    rows += [
        [str(depth), str(scale), *[""] * 7, f"{value:.0f}"]
        for (depth, scale), value in ours.items() if (depth, scale) not in paper.TABLE_1E
    ]  # fmt: skip
    notes = ["The paper's milliseconds are of an Nvidia M40, its AP of COCO test-dev."]
    if measured:
        notes.append(f"Ours: {speed.in_words(measured)}; random weights, so no AP.")
        both = [(values[6], ours[key]) for key, values in paper.TABLE_1E.items() if key in ours]
        if len(both) > 2:
            rho = spearman(*zip(*both, strict=True))
            notes.append(f"rank correlation of our time with the paper's: {rho:.2f} over {len(both)} rows")
    else:
        notes.append("ours is not measured yet: python -m figures.figure2 --measure")
    return "Table 1e: depth and scale, accuracy and time", header, rows, notes


def _state_of_the_art(results: Results) -> tuple[str, list[str], list[list[str]], list[str]]:
    metrics = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    rows = [[*key, *(f"{value:.1f}" for value in values)] for key, values in paper.TABLE_2.items()]
    ours = [results.score(experiments.CONVERGED, metric) for metric in metrics]
    cells = [f"{score.mean:.1f}" if score and score.mean >= 0 else "–" for score in ours]
    rows.append(["minidet, on shapes", "a quarter of ResNet-18", *cells])
    notes = ["Published numbers are of COCO test-dev. Ours is of another data set, drawn shapes, and no rival to them."]
    if ours[0] is None:
        notes.append(f"not run yet: minidet experiments run {experiments.CONVERGED}")
    return "Table 2: detectors on COCO", ["detector", "backbone", *metrics], rows, notes


def main(arguments: Sequence[str] | None = None) -> list[Path]:
    """Print the tables named, or all; with --out write them to tables.txt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TABLE", help=f"of {', '.join(NAMES)}; without any: all")
    parser.add_argument("--out", type=Path, help="folder for tables.txt")
    options = parser.parse_args(arguments)
    results = load_results()
    content = "\n\n".join(text(name, results) for name in options.names or NAMES)
    if options.out is None:
        print(content)
        return []
    options.out.mkdir(parents=True, exist_ok=True)
    return [write_text(options.out / "tables.txt", content + "\n")]


if __name__ == "__main__":
    main()
