"""`minidet experiments`: the paper's experiments at small scale, listed, run and set beside its numbers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.cli import full_scale
from minidet.cli.arguments import add_command, add_settings
from minidet.cli.sources import absolute
from minidet.config import setting_changes

if TYPE_CHECKING:
    from minidet.experiments.experiment import Experiment


def add(commands: Any) -> None:
    """Add the commands and their arguments."""
    text = "run the paper's experiments at small scale, and set ours beside its numbers"
    parser = commands.add_parser("experiments", help=text, description=f"{text}: does the same thing happen?")
    kinds = parser.add_subparsers(required=True, metavar="list|run|table")
    what = "a table (1a, 1b, …), a name (1b/gamma=2) or a pattern ('1d/ohem-*'); without any: all"

    command = add_command(
        kinds, "list", show_list, "every experiment, its priority, the seeds that were run and the mean AP"
    )
    command.add_argument("names", nargs="*", metavar="NAME", help=what)
    command.add_argument("--results", type=Path, help="folder of the results, if not the committed ones")
    full_scale.add_preset(command)

    command = add_command(
        kinds, "run", run, "run what is missing, the rows that carry the paper's argument first",
        "A run that was interrupted goes on from its last checkpoint.",
    )  # fmt: skip
    command.add_argument("names", nargs="*", metavar="NAME", help=what)
    command.add_argument("--seeds", type=int, help="run seeds 0, 1, … up to so many (3; with --preset paper 1)")
    command.add_argument("--seed", type=int, help="run this one only")
    command.add_argument("--minutes", type=float, help="begin no run after so long")
    command.add_argument("--processes", type=int, default=1, help="runs at a time; on GPUs always one per GPU")
    command.add_argument("--threads", type=int, default=1, help="threads per run; the result depends on their number")
    command.add_argument("--keep", action="store_true", help="keep the weights, RUNS/NAME_seedSEED/model.pt")
    command.add_argument("--dry-run", action="store_true", help="only say what would be run, in that order")
    command.add_argument(
        "--again", action="store_true", help="run these anew into --results and compare with the committed"
    )
    command.add_argument(
        "--results", "--out", type=Path, help="folder of the results, if not the committed ones (runs/again)"
    )
    full_scale.add_preset(command)
    command.add_argument("--runs", type=Path, help="folder for checkpoints, if not runs/experiments")
    command.add_argument("--data", help="train on this data set instead of shapes: a COCO or Pascal VOC folder")
    command.add_argument("--split", help="Pascal VOC: the list to train on")
    command.add_argument("--val", help="measure on this data set, if not --data")
    command.add_argument("--val-split", help="Pascal VOC: the list to measure on")
    full_scale.add_arguments(command)
    add_settings(command)

    command = add_command(kinds, "table", table, "the paper's tables beside ours, with verdicts")
    command.add_argument("names", nargs="*", metavar="TABLE", help="1a, 1b, …; without any: all")
    command.add_argument("--results", type=Path, help="folder of the results, if not the committed ones")
    full_scale.add_preset(command)


def show_list(options: argparse.Namespace) -> None:
    """Every experiment: its seeds, its mean AP, and under which other name it is run."""
    from minidet.experiments import rows
    from minidet.experiments.experiment import canonical, select
    from minidet.experiments.results import RESULTS, load_results

    results = full_scale.load(options) if full_scale.is_chosen(options) else load_results(options.results or RESULTS)
    first = canonical(results.known)
    chosen = select(results.known, options.names, {} if full_scale.is_chosen(options) else rows.ALSO)
    width = max(map(len, chosen))
    for name in chosen:
        score, seeds = results.score(name), ", ".join(map(str, results.of(name)))
        line = f"{name:{width}}  {rows.priority(name)}  "
        line += f"AP {score!s:18} seeds {seeds}" if score else "not run"
        if diverged := results.diverged(name):
            line += f", {diverged} diverged"
        print(line + (f"  = {first[name]}" if first[name] != name else ""))
    used = results.used
    print(f"\n{len(used)} runs, {sum(run['cpu_seconds'] for run in used) / 3600:.1f} hours of processor time", end="")
    print(f"; {len(results.runs) - len(used)} more of other settings" if len(results.runs) > len(used) else "")


def run(options: argparse.Namespace) -> None:
    """Run what is missing, or with --again one that is there, elsewhere, and compare."""
    from minidet.experiments import rows
    from minidet.experiments.experiment import canonical, select
    from minidet.experiments.results import RESULTS, load_results

    if full_scale.is_chosen(options):
        full_scale.run(options)
        return
    known = _known(options)
    results = load_results(options.results or RESULTS, known)
    first = canonical(known)
    names = list(dict.fromkeys(first[name] for name in select(known, options.names, rows.ALSO)))
    seeds = [options.seed] if options.seed is not None else list(range(options.seeds or 3))
    if options.again:
        _again(options, known, names, seeds)
        return
    jobs = [(name, seed) for name in names for seed in seeds if seed not in results.of(name)]
    jobs.sort(key=lambda job: (_rank(first, job[0]), job[1]))
    print(f"{len(jobs)} runs to do, {len(names) * len(seeds) - len(jobs)} are done")
    if jobs and not options.dry_run:
        from minidet.experiments.pool import run_all
        from minidet.experiments.runner import RUNS
        from minidet.experiments.sources import check_here

        ready = [(known[name], seed) for name, seed in jobs]
        check_here(experiment for experiment, _ in ready)
        runs = options.runs or RUNS
        run_all(
            ready, options.results or RESULTS, runs, options.minutes, options.processes, options.keep, options.threads
        )
    elif options.dry_run:
        print("\n".join(f"{name}, seed {seed}" for name, seed in jobs))


def _rank(first: dict[str, str], name: str) -> int:
    """The best priority of the names that mean this one."""
    from minidet.experiments.rows import priority

    return min(priority(other) for other, main_name in first.items() if main_name == name)


def _again(options: argparse.Namespace, known: Any, names: list[str], seeds: list[int]) -> None:
    """Run rows once more into another folder, and say whether they are identical to the committed runs."""
    from minidet.experiments.pool import run_all
    from minidet.experiments.repeat import compared
    from minidet.experiments.results import RESULTS, load_results
    from minidet.experiments.runner import RUNS
    from minidet.experiments.sources import check_here

    out = options.results or Path("runs") / "again"
    before = load_results(RESULTS, known)
    done = load_results(out, known)
    jobs = [(known[name], seed) for name in names for seed in seeds if seed not in done.of(name)]
    if options.dry_run:
        print("\n".join([f"{len(jobs)} runs to do", *(f"{one.name}, seed {seed}" for one, seed in jobs)]))
        return
    check_here(experiment for experiment, _ in jobs)
    if jobs:
        run_all(
            jobs,
            out,
            (options.runs or RUNS) / "again",
            options.minutes,
            options.processes,
            options.keep,
            options.threads,
        )
    after = load_results(out, known)
    for name in names:
        for seed, again in after.of(name).items():
            if seed in seeds:
                print(f"{name}, seed {seed}: {compared(before, name, seed, again)}")


def table(options: argparse.Namespace) -> None:
    """A table of the paper beside ours."""
    from minidet.experiments import tables
    from minidet.experiments.results import RESULTS, load_results

    if full_scale.is_chosen(options):
        from minidet.experiments import full_tables

        results = full_scale.load(options)
        for name in options.names or full_tables.TABLES:
            print(full_tables.text(name, results), end="\n\n")
        return
    results = load_results(options.results or RESULTS)
    for name in options.names or tables.NAMES:
        print(tables.text(name, results), end="\n\n")


def _known(options: argparse.Namespace) -> dict[str, Experiment]:
    """The experiments with the changes, and on the data set, that the arguments name."""
    from minidet.data import open_dataset
    from minidet.experiments.definitions import experiments
    from minidet.experiments.setting import elsewhere

    known, changes = experiments(), setting_changes(options.set)
    if not options.data and not any(changes.values()):
        return known
    if options.results is None:
        raise ValueError("another data set or other settings: give --results, a folder for their results")
    if options.data:
        if not (options.val or options.val_split):
            raise ValueError("give --val or --val-split: what the detectors are measured on")
        data, val = (
            {"source": absolute(source)} | ({"split": split} if split else {})
            for source, split in ((options.data, options.split), (options.val or options.data, options.val_split))
        )
        known = elsewhere(known, data, val, len(open_dataset(**data).classes))
    return {name: experiment.changed(name, **changes) for name, experiment in known.items()}
