"""Tables 1 to 3 of the paper beside runs of its own experiments, on COCO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from minidet.experiments import full_scale, layout, rows, tables
from minidet.experiments import published as paper
from minidet.experiments.layout import Row, Table
from minidet.experiments.results import Results

BY_SIZE = ("AP", "AP50", "AP75", "APs", "APm", "APl")
"""Columns of Tables 1e and 2."""


def _tables() -> dict[str, Table]:
    """The tables, of which each row is an experiment of `full_scale`."""
    mining = tuple(
        Row(({"ohem": "OHEM", "ohem_1_3": "OHEM 1:3"}[loss], str(batch), f"{threshold:g}"), published,
            full_scale.ohem(loss, batch, threshold))
        for (loss, batch, threshold), published in paper.TABLE_1D.items()
    )  # fmt: skip
    sizes = tuple(
        Row((str(depth), str(side)), tuple(published[:6]), rows.depth_and_side(depth, side))
        for (depth, side), published in paper.TABLE_1E.items()
    )
    ours = [key for key in paper.TABLE_2 if key.name == "RetinaNet"]
    dev = "The paper's numbers are of test-dev, ours of val2017: --test writes the file for COCO's server."
    adamw = {rows.prior("ce-adamw", pi) for pi in rows.ADAMW_PRIORS}
    shared = {name: replace(layout.TABLES[name], note="") for name in ("1a", "1b", "1c", "3", "7", "pi", "hinge")}
    shared["pi"] = replace(shared["pi"], rows=tuple(row for row in shared["pi"].rows if row.name not in adamw))
    return {
        "1a": shared["1a"], "1b": shared["1b"], "1c": shared["1c"],
        "1d": Table(
            "Table 1d: focal loss against online hard example mining", ("method", "batch", "NMS"),
            (*mining, Row(("FL", "", ""), paper.TABLE_1D_FOCAL, full_scale.FOCAL_101)),
        ),
        "1e": Table("Table 1e: depth and scale", ("depth", "scale"), sizes, dev, BY_SIZE),
        "2": Table(
            "Table 2: RetinaNet with scale jitter, trained 1.5 times as long", ("backbone",),
            tuple(Row((key.backbone,), tuple(paper.TABLE_2[key]), full_scale.detector(key.backbone)) for key in ours),
            dev, BY_SIZE,
        ),
        "3": shared["3"], "7": shared["7"], "pi": shared["pi"], "hinge": shared["hinge"],
    }  # fmt: skip


TABLES: Mapping[str, Table] = _tables()
"""All tables."""


def text(name: str, results: Results) -> str:
    """A table for the terminal.

    Args:
        name: one of TABLES.
        results: the runs.

    Raises:
        ValueError: there is no table of that name.
    """
    if name not in TABLES:
        raise ValueError(f"{name} is no table of --preset paper: there are {', '.join(TABLES)}")
    printed = tables.beside(TABLES[name], results)
    lacking = [row.name for row in TABLES[name].rows if results.score(row.name) is None]
    if lacking:
        printed.notes.append(
            f"not run yet: {len(lacking)} of {len(TABLES[name].rows)} rows; "
            f"minidet experiments run {name} --preset paper --data COCO --backbone-weights FILE --results DIR"
        )
    return "\n".join(tables.laid_out(printed))
