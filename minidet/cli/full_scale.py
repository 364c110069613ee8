"""`minidet experiments … --preset paper`: the paper's own experiments, for whoever has COCO and GPUs."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.config import setting_changes

if TYPE_CHECKING:
    from minidet.experiments.cost import Rate
    from minidet.experiments.experiment import Experiment
    from minidet.experiments.results import Results
    from minidet.experiments.sources import Sources

PRESETS = ("small", "paper")
"""The settings of the experiments that have a name."""


def add_preset(command: argparse.ArgumentParser) -> None:
    """Add ``--preset``."""
    command.add_argument(
        "--preset", choices=PRESETS,
        help="small (the default): on shapes; paper: RetinaNet on COCO, eight GPUs for a day and more per row. A "
        "folder of results knows its own",
    )  # fmt: skip


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of ``run`` that belong to the paper's own experiments."""
    group = command.add_argument_group("options of --preset paper")
    group.add_argument(
        "--backbone-weights", type=Path, nargs="+", default=[], metavar="FILE",
        help="torchvision's ImageNet weights, one file for each depth that the rows need (resnet50, resnet101, "
        "resnext101_32x8d)",
    )  # fmt: skip
    group.add_argument(
        "--images-per-step", type=int, metavar="N",
        help="images per step of all GPUs together, if not 16: learning rate, steps and warm-up follow by "
        "the linear rule",
    )  # fmt: skip
    group.add_argument(
        "--test", type=Path, metavar="FILE",
        help="also write the detections in these test images (annotations/image_info_test-dev2017.json) as the file "
        "that COCO's server takes",
    )  # fmt: skip
    group.add_argument(
        "--seconds-per-step", type=float, metavar="S",
        help="for --dry-run: how long a step of 16 images of RetinaNet-50 at 600 pixels takes on --gpus of yours; if "
        "not given, what the results in the folder took, else what the paper says",
    )  # fmt: skip
    group.add_argument("--gpus", type=int, default=1, help="for --seconds-per-step: how many it was measured on")


def is_chosen(options: argparse.Namespace) -> bool:
    """Whether the arguments, or the folder of results that they name, are of the paper's own experiments."""
    chosen: str | None = options.preset
    if chosen is None and options.results:
        chosen = _setting(options.results).get("preset")
    return chosen == "paper"


def known(options: argparse.Namespace) -> dict[str, Experiment]:
    """The experiments, with the settings of the arguments or else of the folder of results."""
    from minidet.experiments.full_scale import experiments

    given = _given(options)
    stored = _setting(options.results) if options.results else {}
    setting = stored if stored and not (given["set"] or given["images_per_step"]) else given
    return experiments(setting["images_per_step"], setting_changes(setting["set"]))


def load(options: argparse.Namespace) -> Results:
    """The results in the folder that the arguments name."""
    from minidet.experiments.results import load_results

    return load_results(_folder(options), known(options))


def run(options: argparse.Namespace) -> None:
    """Run what is missing; under torchrun over all its processes, else one run per GPU."""
    from minidet.experiments.experiment import canonical, select
    from minidet.experiments.sources import Sources

    folder, everything = _folder(options), known(options)
    if options.again:
        raise ValueError("--again: give --results another folder instead, and compare the two files")
    results, first = load(options), canonical(everything)
    names = list(dict.fromkeys(first[name] for name in select(everything, options.names)))
    seeds = [options.seed] if options.seed is not None else list(range(options.seeds or 1))
    jobs = [(everything[name], seed) for name in names for seed in seeds if seed not in results.of(name)]
    alone = os.environ.get("RANK", "0") == "0"
    if alone:
        print(f"{len(jobs)} runs to do, {len(names) * len(seeds) - len(jobs)} are done")
    if options.dry_run:
        if alone:
            _tell(options, jobs, results)
        return
    if not jobs:
        return
    if not options.data:
        raise ValueError("give --data: the folder of COCO, which holds annotations/, train2017/ and val2017/")
    sources = Sources(Path(options.data).resolve(), tuple(options.backbone_weights), options.test)
    sources.check([experiment for experiment, _ in jobs])
    if alone:
        _remember(folder, _given(options))
    _run(options, jobs, folder, sources)


def _run(options: argparse.Namespace, jobs: Sequence[tuple[Experiment, int]], folder: Path, sources: Sources) -> None:
    runs = options.runs or folder / "runs"
    if "WORLD_SIZE" in os.environ:
        from minidet.experiments.together import run_together

        run_together(jobs, folder, runs, sources, options.keep)
    else:
        from minidet.experiments.pool import run_all

        limits = options.minutes, options.processes, options.keep, options.threads
        run_all(jobs, folder, runs, *limits, sources=sources)


def _tell(options: argparse.Namespace, jobs: Sequence[tuple[Experiment, int]], results: Results) -> None:
    """What would be run, and the hours."""
    from minidet.experiments.cost import costs, in_words
    from minidet.experiments.full_scale import STATED

    rate = _rate(options, results)
    if jobs:
        print(in_words(costs([experiment for experiment, _ in jobs], rate), rate))
    print("\nWhat differs from the paper or from its authors' code:", *(f"- {text}" for text in STATED), sep="\n")


def _rate(options: argparse.Namespace, results: Results) -> Rate:
    """The speed that was stated, else that of the results, else the paper's."""
    from minidet.experiments import cost, full_scale

    if options.seconds_per_step:
        return cost.Rate(options.seconds_per_step, options.gpus, f"at {options.seconds_per_step:g} s per step as given")
    for run in results.used:
        if run.get("seconds_per_step"):
            same = next(e for e in results.known.values() if e.identity in results.by_identity and run in
                        results.by_identity[e.identity].values())  # fmt: skip
            factor = cost.operations(full_scale.BASE) / cost.operations(same)
            seconds = run["seconds_per_step"] * factor * full_scale.BASE.training.batch_size / same.training.batch_size
            return cost.Rate(seconds, run["processes"], f"as {run['name']} took on {run['device']}")
    return cost.published()


def _folder(options: argparse.Namespace) -> Path:
    if options.results is None:
        raise ValueError("--preset paper: give --results, the folder for its results")
    folder: Path = options.results
    return folder


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The setting that the arguments name, as it is kept beside its results."""
    images = getattr(options, "images_per_step", None)
    return {"preset": "paper", "images_per_step": images, "set": list(getattr(options, "set", []))}


def _setting(folder: Path) -> dict[str, Any]:
    """The setting of a folder of results; empty where it has none."""
    from minidet.experiments.results import SETTING

    path = folder / SETTING
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def _remember(folder: Path, setting: dict[str, Any]) -> None:
    """Keep the setting beside its results, and refuse to mix it with another one."""
    from minidet.experiments.results import SETTING
    from minidet.files import write_json

    stored = _setting(folder)
    if stored and (setting["set"] or setting["images_per_step"]) and stored != setting:
        raise ValueError(
            f"{folder} holds results of {stored['set'] or 'no changes'}, {stored['images_per_step'] or 16} images per "
            "step: give the same --set and --images-per-step, or another folder"
        )
    if not stored:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / SETTING, setting)
