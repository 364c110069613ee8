"""What is trained: the paper's numbers, the experiments by name, and that each configuration is trained once."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from minidet.experiments import definitions, rows, tables
from minidet.experiments import published as paper
from minidet.experiments.definitions import experiments
from minidet.experiments.experiment import canonical, select
from minidet.experiments.layout import TABLES
from minidet.experiments.results import load_results
from minidet.experiments.setting import elsewhere
from tests.experiments.made_up import TINY


@pytest.fixture
def tiny(monkeypatch):
    """All experiments as small as TINY."""
    monkeypatch.setattr(definitions, "_usual", lambda: experiments(TINY))
    return experiments()


def test_the_tables_of_the_paper_agree_with_each_other_and_with_its_text():
    focal = paper.TABLE_1B[2.0, 0.25]
    assert paper.TABLE_1A[0.75] == paper.TABLE_1B[0.0, 0.75] == paper.TABLE_3["CE", None, None]
    assert focal == paper.TABLE_1C[3, 3] == paper.TABLE_3["FL", 2.0, None]
    best_ce, best_ohem = (max(table.values())[0] for table in (paper.TABLE_1A, paper.TABLE_1D))
    gains = [paper.TABLE_1A[0.75][0] - paper.TABLE_1A[0.5][0], focal[0] - best_ce, paper.TABLE_1D_FOCAL[0] - best_ohem]
    assert gains == pytest.approx([paper.BALANCED_GAIN, paper.FOCAL_GAIN, paper.OHEM_GAP])
    assert paper.TABLE_1A[0.5][0] == paper.CE_WITH_PRIOR
    assert paper.TABLE_2["RetinaNet", "ResNet-101-FPN"][0] == pytest.approx(paper.TABLE_1E[101, 800][0] + 1.3)
    rows = {**paper.TABLE_1A, **paper.TABLE_1B, **paper.TABLE_1C, **paper.TABLE_1D, **paper.TABLE_1E, **paper.TABLE_2}
    for key, (ap, ap50, ap75, *_) in rows.items():
        assert ap50 >= max(ap, ap75) >= 0, key


def test_every_row_of_a_table_is_an_experiment():
    known = experiments()
    for table in tables.TABLES.values():
        for row in table.rows:
            assert row.name in known
    assert {row.name for row in tables.TABLES["7"].rows} <= set(select(known, ["7"], rows.ALSO))
    assert set(known) >= rows.FIRST


def test_one_configuration_is_run_under_one_name(tiny):
    first = canonical(tiny)
    assert first[rows.fl(0.0)] == rows.ce(0.75)
    assert first[rows.anchors(3, 3)] == first[rows.prior("fl", 0.01)] == rows.FL
    assert first[rows.star(1.0, 0.0)] == rows.ce(0.25)
    assert len({tiny[name].identity for name in set(first.values())}) == len(set(first.values()))


def test_a_configuration_is_known_by_what_the_result_depends_on():
    assert TINY.identity == replace(TINY, name="other", training=replace(TINY.training, seed=5, workers=2)).identity
    assert TINY.changed("a", data={"seed": 3}).identity != TINY.identity
    assert TINY.changed("a", model={"prior": 0.1}).identity != TINY.identity
    a, b = (TINY.changed("x", both={"min_size": size}) for size in (12, 12.0))
    assert a.identity == b.identity


def test_names_are_chosen_by_table_by_pattern_and_by_name(tiny):
    assert select(tiny, ["1a"], rows.ALSO) == [rows.ce(alpha) for alpha in paper.TABLE_1A]
    assert rows.FL in select(tiny, ["1d"], rows.ALSO)
    assert select(tiny, ["1d/ohem-*-0.7", "hinge/margin=0.5"], rows.ALSO)[-1] == "hinge/margin=0.5"
    assert select(tiny, [], rows.ALSO) == list(tiny)
    with pytest.raises(ValueError, match=r"9z is no experiment.*1a, 1b"):
        select(tiny, ["9z"], rows.ALSO)


@pytest.mark.parametrize("table", TABLES)
def test_the_name_of_a_table_runs_what_it_shows(table):
    known = experiments()
    first = canonical(known)
    chosen = {first[name] for name in select(known, [table], rows.ALSO)}
    assert {first[row.name] for row in TABLES[table].rows} <= chosen


def test_another_data_set_changes_the_data_and_the_classes(tiny):
    there = elsewhere(tiny, {"source": "a"}, {"source": "b"}, 2)
    assert not any(name.startswith("imbalance") for name in there)
    assert {(e.data["source"], e.val["source"], e.model.num_classes) for e in there.values()} == {("a", "b", 2)}


DURATION = re.compile(r"About (\d+) (s|minutes) per run")
"""The processor time of a table's runs, in its docstring."""
LISTED = re.compile(r"(\S+/\S+) +(= \S+|not run|\d+)(?= |$)", re.MULTILINE)
"""A row in the docstring of a table, and its AP."""


@pytest.fixture(scope="module")
def results():
    """The committed runs."""
    return load_results()


@pytest.mark.parametrize("table", definitions.TABLES, ids=lambda table: table.__name__)
def test_the_docstring_of_a_table_says_how_long_a_run_takes(table, results):
    """Within a quarter of the median: a processor is not equally fast on all days."""
    number, unit = DURATION.search(table.__doc__).groups()
    runs = [run for experiment in table(definitions.BASE) for run in results.of(experiment.name).values()]
    if runs:
        told = int(number) * {"s": 1, "minutes": 60}[unit]
        assert told == pytest.approx(np.median([run["cpu_seconds"] for run in runs]), rel=0.25)


@pytest.mark.parametrize("table", definitions.TABLES, ids=lambda table: table.__name__)
def test_the_docstring_of_a_table_lists_its_rows_with_their_ap(table, results):
    first = canonical(results.known)
    listed = dict(LISTED.findall(table.__doc__))
    assert set(listed) == {experiment.name for experiment in table(definitions.BASE)}
    for name, told in listed.items():
        score = results.score(name)
        if first[name] != name:
            assert told == f"= {first[name]}"
        else:
            assert told == ("not run" if score is None else f"{score.mean:.0f}"), name
