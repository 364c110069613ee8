"""Tables 1 to 3 of the paper beside ours, and our own tables that belong to its text.

The published numbers are COCO's, ours are of shapes at small scale: what can be compared is which row is the better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from minidet.experiments import claims, imbalance, rows, speed
from minidet.experiments import published as paper
from minidet.experiments.results import Results, spearman
from minidet.experiments.setting import BASE, anchors_per_image

METRICS = ("AP", "AP50", "AP75")


RIVALS = dict(zip(rows.RIVALS, ("FL, γ = 2", "CE, α = .75", "OHEM, 32, NMS .5", "FL*, γ = 2, β = 1"), strict=True))
"""What the tables call the rivals."""


@dataclass(frozen=True)
class Row:
    """One row: what is varied, the published numbers if there are any, and the experiment that stands for it."""

    keys: tuple[str, ...]
    published: tuple[float, ...] | None
    """AP, AP50, AP75 in percent, or AP alone; None where the paper has no such row."""
    name: str
    """Name of the experiment."""


@dataclass(frozen=True)
class Table:
    """What is varied, and the rows."""

    title: str
    keys: tuple[str, ...]
    """Names of what is varied."""
    rows: tuple[Row, ...]
    note: str = ""


def _tables() -> dict[str, Table]:
    """The tables of which each row is an experiment."""
    focal, anchors = rows.FL, anchors_per_image()
    chosen, steps = BASE.training.learning_rate, BASE.training.iterations
    tables = {
        "1a": Table("Table 1a: cross entropy, varying α", ("α",), tuple(
            Row((f"{alpha:g}",), published, rows.ce(alpha)) for alpha, published in paper.TABLE_1A.items()
        )),
        "1b": Table("Table 1b: focal loss, varying γ", ("γ", "α"), tuple(
            Row((f"{gamma:g}", f"{alpha:g}"), published, rows.fl(gamma))
            for (gamma, alpha), published in paper.TABLE_1B.items()
        ) + tuple(Row(("2", f"{alpha:g}"), None, rows.fl_alpha(alpha)) for alpha in rows.MORE_ALPHAS)),
        "1c": Table("Table 1c: scales and aspect ratios of the anchors", ("scales", "ratios"), tuple(
            Row((str(scales), str(ratios)), published, rows.anchors(scales, ratios))
            for (scales, ratios), published in paper.TABLE_1C.items()
        )),
        "1d": Table(
            "Table 1d: focal loss against online hard example mining", ("method", "batch", "our batch", "NMS"),
            tuple(
                Row(
                    ({"ohem": "OHEM", "ohem_1_3": "OHEM 1:3"}[loss], str(batch), str(rows.OHEM_BATCH[batch]),
                     f"{threshold:g}"),
                    published, rows.ohem(loss, batch, threshold),
                )
                for (loss, batch, threshold), published in paper.TABLE_1D.items()
            ) + (Row(("FL", "", "", ""), paper.TABLE_1D_FOCAL, focal),),
            f"The paper chooses from about 100,000 anchors, ours from {anchors:,}; its network had 101 layers.",
        ),
        "3": Table("Table 3: FL* in the place of FL", ("loss", "γ", "β"), tuple(
            Row(
                (loss, "" if gamma is None else f"{gamma:g}", "" if beta is None else f"{beta:g}"), published,
                rows.ce(0.75) if gamma is None else focal if beta is None else rows.star(gamma, beta),
            )
            for (loss, gamma, beta), published in paper.TABLE_3.items()
        )),
        "7": Table("Figure 7: FL* over a grid", ("γ", "β"), tuple(
            Row((f"{gamma:g}", f"{beta:g}"), None, rows.star(gamma, beta))
            for gamma in rows.STAR_GAMMAS for beta in rows.STAR_BETAS
        )),
        "pi": Table("Section 5.1: the prior π of the initialisation", ("loss", "optimizer", "π"), tuple(
            Row((loss, optimizer, f"{pi:g}"), (paper.CE_WITH_PRIOR,) if (key, pi) == ("ce", 0.01) else None,
                rows.prior(key, pi))
            for loss, optimizer, key, priors in (
                ("CE", "SGD", "ce", rows.PRIORS), ("CE", "AdamW", "ce-adamw", (0.5, 0.01)),
                ("FL", "SGD", "fl", rows.PRIORS),
            )
            for pi in priors
        ), "The paper reports that CE without the prior (π = .5) diverged."),
        "hinge": Table("Section 5.1: hinge loss", ("margin",), tuple(
            Row((f"{margin:g}",), None, rows.hinge(margin)) for margin in rows.HINGE_MARGINS
        ), "The paper reports that it was unstable and gave no meaningful results."),
        "imbalance": Table("Our own: from many objects per image to one", ("objects", "loss"), tuple(
            Row((str(objects), label), None, rows.crowd(objects, loss))
            for objects in rows.OBJECTS
            for loss, label in (("focal", "FL, γ = 2"), ("balanced", "CE, α = .75"), ("ce", "CE"))
        )),
        "1e-small": Table("Table 1e at small scale: depth and size of the image", ("depth", "scale"), tuple(
            Row((str(depth), str(side)), None, rows.depth_and_side(depth, side))
            for depth in rows.DEPTHS for side in rows.SIDES
        ), "A quarter-width network. An image of another size is enlarged or reduced before it is looked at."),
        "lr": Table("Our own: other learning rates", ("loss", "learning rate"), tuple(
            Row((RIVALS[name], f"{rate:g}"), None, name if rate == chosen else rows.rate(name, rate))
            for name in rows.RIVALS for rate in sorted({chosen, *rows.RATES})
        ), f"{chosen:g} was chosen before anything was compared, and is used for all."),
        "longer": Table(f"Our own: {rows.LONGER} times as many steps", ("loss", "steps"), tuple(
            Row((RIVALS[name], f"{steps * factor:,}"), None, rows.longer(name) if factor > 1 else name)
            for name in rows.RIVALS for factor in (1, rows.LONGER)
        )),
    }  # fmt: skip
    return tables


TABLES: Mapping[str, Table] = _tables()
"""The tables of which each row is an experiment; 1e and 2 are made otherwise."""
NAMES = ("1a", "1b", "1c", "1d", "1e", "1e-small", "2", "3", "7", "pi", "hinge", "imbalance", "lr", "longer")
"""All tables."""


class Printed(NamedTuple):
    """A table as text, before it is laid out."""

    title: str
    header: list[str]
    """Names of the columns."""
    body: list[list[str]]
    """Cells by row."""
    notes: list[str]
    """Sentences below the table."""


def text(name: str, results: Results) -> str:
    """A table for the terminal, with its notes and the verdicts on the claims that rest on it.

    Args:
        name: one of NAMES.
        results: the runs.

    Returns:
        Several lines.

    Raises:
        ValueError: there is no table of that name.
    """
    table = content(name, results)
    lines = [table.header, *table.body]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.header))]
    told = [table.title, ""]
    told += ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    told += ["", *table.notes] if table.notes else []
    for claim, verdict in claims.judged(results):
        if name in claim.tables:
            told += [f"{verdict.kind}: {claim.text} ({claim.section})", f"    {verdict}"]
            told += [f"    a look into why: {why}"] if (why := claim.look(results)) else []
    return "\n".join(told)


def content(name: str, results: Results) -> Printed:
    """A table as text; see `text`."""
    if name == "1e":
        return _speed()
    if name == "2":
        return _state_of_the_art(results)
    if name not in TABLES:
        raise ValueError(f"{name} is no table: there are {', '.join(NAMES)}")
    table = TABLES[name]
    published = any(row.published for row in table.rows)
    header = [*table.keys, "our AP", "AP50", "AP75", "seeds", *(["paper AP", "AP50", "AP75"] if published else [])]
    body = []
    for row in table.rows:
        cells = [f"{value:.1f}" for value in row.published or ()]
        theirs = cells + [""] * (3 - len(cells)) if published else []
        body.append([*row.keys, *_ours(results, row.name), *theirs])
    if name == "1c":  # an object that no anchor fits cannot be found, whatever the loss
        header.append("objects reached")
        for line, row in zip(body, table.rows, strict=True):
            line.append(f"{imbalance.reached(row.name):.0%}")
    notes = [table.note] if table.note else []
    if published and (rho := correlation(table.rows, results)):
        notes.append(rho)
    missing = [row.name for row in table.rows if results.score(row.name) is None]
    if missing:
        notes.append(f"not run yet: {len(missing)} of {len(table.rows)} rows; minidet experiments run {name}")
    return Printed(table.title, header, body, notes)


def correlation(table_rows: Sequence[Row], results: Results) -> str:
    """Spearman's rank correlation between the published APs and ours, in words; empty for fewer than three rows."""
    pairs = [(row.published[0], results.score(row.name)) for row in table_rows if row.published]
    both = [(published, ours.mean) for published, ours in pairs if ours is not None]
    if len(both) < 3:
        return ""
    return (
        f"rank correlation of our AP with the paper's: {spearman(*zip(*both, strict=True)):.2f} over {len(both)} rows"
    )


def _ours(results: Results, name: str) -> list[str]:
    """Our AP with its spread, AP50, AP75, and the number of seeds, with the number that diverged."""
    ap, *others = (results.score(name, metric) for metric in METRICS)
    if ap is None:
        return ["–", "–", "–", "not run"]
    spread = f" ± {ap.deviation:.1f}" if ap.n > 1 else ""
    diverged = results.diverged(name)
    seeds = ("1 only" if ap.n == 1 else str(ap.n)) + (f", {diverged} diverged" if diverged else "")
    return [f"{ap.mean:.1f}{spread}", *(f"{score.mean:.1f}" for score in others if score), seeds]


def _speed() -> Printed:
    measured = speed.load()
    ours = {(row["depth"], row["scale"]): row["milliseconds"] for row in measured["rows"]} if measured else {}
    header = ["depth", "scale", "paper AP", "AP50", "AP75", "APs", "APm", "APl", "paper ms", "our ms"]
    body = [
        [str(depth), str(scale), *(f"{value:.1f}" for value in theirs[:-1]), f"{theirs.milliseconds:.0f}",
         f"{ours[depth, scale]:.0f}" if (depth, scale) in ours else "–"]
        for (depth, scale), theirs in paper.TABLE_1E.items()
    ]  # fmt: skip
    body += [
        [str(depth), str(scale), *[""] * 7, f"{value:.0f}"]
        for (depth, scale), value in ours.items() if (depth, scale) not in paper.TABLE_1E
    ]  # fmt: skip
    notes = ["The paper's milliseconds are of an Nvidia M40, its AP of COCO test-dev."]
    if measured:
        notes.append(f"Ours: {speed.in_words(measured)}; random weights, so no AP.")
        both = [(theirs.milliseconds, ours[key]) for key, theirs in paper.TABLE_1E.items() if key in ours]
        if len(both) > 2:
            rho = spearman(*zip(*both, strict=True))
            notes.append(f"rank correlation of our time with the paper's: {rho:.2f} over {len(both)} rows")
    else:
        notes.append(f"ours is {speed.MISSING}")
    return Printed("Table 1e: depth and scale, accuracy and time", header, body, notes)


def _state_of_the_art(results: Results) -> Printed:
    metrics = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    body = [[*key, *(f"{value:.1f}" for value in values)] for key, values in paper.TABLE_2.items()]
    name = rows.longer(rows.FL)
    ours = [results.score(name, metric) for metric in metrics]
    cells = [f"{score.mean:.1f}" if score and score.mean >= 0 else "–" for score in ours]
    body.append(["minidet, on shapes", "a quarter of ResNet-18", *cells])
    notes = ["Published numbers are of COCO test-dev. Ours is of another data set, drawn shapes, and no rival to them."]
    if ours[0] is None:
        notes.append(f"not run yet: minidet experiments run {name}")
    return Printed("Table 2: detectors on COCO", ["detector", "backbone", *metrics], body, notes)
