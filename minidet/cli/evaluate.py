"""`minidet evaluate`: COCO's numbers of a finished run."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.cli import scores
from minidet.cli.arguments import RUNS, add_command, add_pixel_limit, add_tiles
from minidet.cli.identity import IMAGES, learnt_too, measured_otherwise
from minidet.cli.outputs import check_outputs, slug, tell_notes
from minidet.cli.runs import FILES, add_path, add_run, load_run, written_beside
from minidet.cli.sources import SOURCES, add_source_options, from_anywhere, read_alike, source_options
from minidet.config import RunSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minidet.data import Dataset
    from minidet.structures import Categories, Detections


def add(commands: Any) -> None:
    """Add the command and its arguments."""
    command = add_command(
        commands, "evaluate", run, "measure a finished run: COCO's twelve numbers, and AP and AP50 of every class",
        "Objects to ignore (COCO crowd, VOC difficult) count neither way, areas are those of the outlines where "
        "the data has them, else of the boxes. An image that cannot be read is an error; what is left out for its "
        "faults is counted. A confusion matrix and a page of the worst mistakes are drawn beside the numbers, and each "
        "class has the score with the best F1.",
    )  # fmt: skip
    add_run(command)
    command.add_argument("--data", help=f"{SOURCES}; by default what the run was evaluated on while it was trained")
    add_source_options(command, "the data that is measured on")
    add_path(command)
    add_pixel_limit(command)
    add_tiles(command)
    command.add_argument(
        "--json", type=Path, metavar="FILE",
        help="where the numbers go, if not RUN/evaluation.json (for other data RUN/evaluation_DATA.json)",
    )  # fmt: skip
    command.add_argument(
        "--detections", type=Path, metavar="FILE",
        help="write the detections as COCO results, with the ids of images and categories in the data's own files",
    )  # fmt: skip


def run(options: argparse.Namespace) -> None:
    """Measure, print the table and write the numbers."""
    from minidet.data import open_dataset, recognise
    from minidet.data.drawn import list_pictures
    from minidet.data.faults import counted
    from minidet.evaluation.detector import evaluate_model
    from minidet.evaluation.mistakes import best_thresholds, confusion_matrix, worst_mistakes
    from minidet.evaluation.page import confusion_page, mistakes_page
    from minidet.files import write_json
    from minidet.plotting import save_figure

    model, settings = load_run(options.run_folder, options.path, options.best)
    folder = written_beside(options.run_folder, RUNS / "evaluate")
    source = _source(options, settings)
    dataset = open_dataset(**source)
    print(recognise(source["source"]).says)
    tell_notes([dataset])
    if dataset.faults:
        print(f"{dataset.name}: {counted(dataset.faults)}; minidet inspect lists them", file=sys.stderr)
    images = options.run_folder / IMAGES
    told = [learnt_too(json.loads(images.read_bytes()), dataset)] if images.exists() else []
    told += [measured_otherwise(options.run_folder, dataset)] if source == settings.val else []
    for warning in filter(None, told):
        print(warning, file=sys.stderr)
    own = source == settings.val and not options.best
    json_file = options.json or _record_path(folder, dataset, source, own)
    kept = [options.run_folder] if options.run_folder.is_file() else [options.run_folder / name for name in FILES]
    kept = [path for path in kept if not (own and path.name == "evaluation.json")]
    ending = json_file.stem.removeprefix("evaluation")
    pages = [json_file.with_name(f"{name}{ending}.png") for name in ("confusion", "mistakes")]
    check_outputs([json_file, *pages, options.detections], [dataset], kept)

    categories = settings.categories
    result, found = evaluate_model(model, dataset, categories, settings.training.resize, options.tiles)
    thresholds = best_thresholds(found, dataset, categories)
    print(scores.table(result, categories, thresholds))
    print(f"\n{write_json(json_file, scores.record(result, categories, dataset, source, thresholds))}")
    least = [one.score for one in thresholds]
    title = f"{options.run_folder.stem} on {dataset.name}"
    matrix = confusion_matrix(found, dataset, categories, least)
    worst = worst_mistakes(found, dataset, categories, least)
    figures = (
        confusion_page(matrix, categories.names, f"{title}: IoU 0.5, each class from its best score on"),
        mistakes_page(worst, dataset, categories.names, f"{title}: the worst mistakes"),
    )
    list_pictures(pages)
    for page, figure in zip(pages, figures, strict=True):
        print(*save_figure(figure, page.parent, page.stem, ("png",)))
    if options.detections:
        print(write_json(options.detections, _results(found, dataset, settings.categories)))


def _source(options: argparse.Namespace, settings: RunSettings) -> dict[str, Any]:
    """The data set to measure on, as `open_dataset` takes it: the one that is named, or the run's own, or a part."""
    if options.data:
        source: dict[str, Any] = from_anywhere({"source": options.data})
        if options.data == "shapes":
            source |= {"images": 200, "seed": 1}
        source = read_alike(source, settings.data)
    elif settings.val:
        source = settings.val
    else:
        raise ValueError(f"{options.run_folder} was trained without images to evaluate on: give --data")
    return source | from_anywhere(source_options(options, source["source"]))


def _record_path(run: Path, dataset: Dataset, source: dict[str, Any], own: bool) -> Path:
    """Where the numbers go: every source has a record of its own, and the training's is only written for its own."""
    if own:
        return run / "evaluation.json"
    name = "_".join(["evaluation", slug(dataset.name), *([slug(source["split"])] if "split" in source else [])])
    for number in itertools.count(1):
        path = run / (f"{name}.json" if number == 1 else f"{name}_{number}.json")
        if not path.exists() or _is_of(path, source):
            break
    return path


def _is_of(path: Path, source: dict[str, Any]) -> bool:
    """Whether a record is of this very source, so that measuring again may replace it."""
    try:
        return bool(json.loads(path.read_bytes())["data"] == source)
    except (ValueError, KeyError, TypeError):
        return False


def _results(found: Sequence[Detections], dataset: Dataset, categories: Categories) -> list[dict[str, Any]]:
    """Detections as COCO results with the ids of the data's files; classes that the data does not have are left out."""
    import numpy as np

    from minidet.evaluation.detector import coco_results, model_classes
    from minidet.structures import Detections

    written = dict(zip(model_classes(dataset, categories), dataset.category_ids, strict=True))
    known = [np.isin(detections.classes, list(written)) for detections in found]
    own = [Detections(*(column[kept] for column in columns)) for columns, kept in zip(found, known, strict=True)]
    left_out = sum(int((~kept).sum()) for kept in known)
    if left_out:
        print(f"{left_out} detections of classes that {dataset.name} does not have are left out", file=sys.stderr)
    ids = [dataset.record(i).image_id for i in range(len(dataset))]
    return coco_results(own, ids, [written.get(k, -1) for k in range(len(categories.ids))])
