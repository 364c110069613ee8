"""The command `minidet`; also `python -m minidet`.

Each command is a function that takes its parsed arguments; what it needs is imported when it runs, so that `--help`
is instant. A ValueError or an unreadable file is told in one line, without a traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import minidet
from minidet.config import AnchorConfig, AssignmentConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.course.command import add_commands as assignment_commands

RUNS = Path("runs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 wrong arguments, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (ValueError, OSError) as error:
        print(f"minidet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("minidet: interrupted", file=sys.stderr)
        return 130
    return 0


def train(options: argparse.Namespace) -> None:
    """Train a RetinaNet; on unseen images, if there are any, measure it and show what it detects."""
    import torch

    from minidet.data import open_dataset
    from minidet.data.batches import TrainingData
    from minidet.evaluation.detector import evaluate_model
    from minidet.plotting import detections_page, save_figure, training_page
    from minidet.pytorch import training
    from minidet.pytorch.checkpoint import load_model
    from minidet.pytorch.memory import keep_freed_memory
    from minidet.pytorch.retinanet import RetinaNet
    from minidet.pytorch.weights import load_backbone

    about, dataset, model_config, config = _plan(options)
    unseen = open_dataset(**about["val"]) if about["val"] else None
    keep_freed_memory()
    torch.manual_seed(config.seed)
    model = RetinaNet(model_config)
    if about["backbone_weights"]:
        load_backbone(model, about["backbone_weights"])
    measured: list[Any] = []  # the last evaluation

    def measure(model: RetinaNet) -> dict[str, float]:
        assert unseen is not None  # else it is not called
        measured[:] = evaluate_model(model, unseen, about, config.resize)
        return measured[0].metrics

    data = TrainingData(dataset, model_config, config)
    try:
        metrics = training.train(model, data, config, options.out, options.resume, about, measure if unseen else None)
    except KeyboardInterrupt:
        print(f"\ngo on from the last checkpoint with: minidet train --out {options.out} --resume", file=sys.stderr)
        raise
    if os.environ.get("RANK", "0") != "0":
        return  # of the processes that torchrun started, the first one tells
    name = f"{options.out.name}: RetinaNet on {dataset.name}"
    outputs = [options.out / file for file in ("config.json", "metrics.jsonl", "checkpoint.pt", "model.pt")]
    outputs += save_figure(training_page(metrics, name), options.out, "curves", ("png",))
    if unseen:
        if not measured:  # the run was finished before
            measure(load_model(options.out))
        result, found = measured
        page = detections_page(
            [unseen[i].image for i in range(min(8, len(unseen)))], found, about["classes"],
            title=f"{name}: detections in unseen images, scores from 0.3 on",
        )  # fmt: skip
        outputs += save_figure(page, options.out, "detections", ("png",))
        outputs.append(_write_json(options.out / "evaluation.json", _results(result, about)))
        print(_table(result, about))
    print("\n".join(["", *map(str, outputs)]))


def evaluate(options: argparse.Namespace) -> None:
    """COCO's numbers of a finished run."""
    from minidet.data import open_dataset
    from minidet.evaluation.detector import evaluate_model
    from minidet.pytorch.inference import coco_results

    model, about = _load_run(options.run)
    source = {"source": _source(options.data)} if options.data else about.get("val")
    if source is None:
        raise ValueError(f"{options.run} was trained without images to evaluate on: give --data")
    if options.data == "shapes":
        source = {**source, "images": options.images, "seed": options.seed}
    dataset = open_dataset(**source, **({"split": options.split} if options.split else {}))
    result, found = evaluate_model(model, dataset, about, TrainingConfig.from_dict(about["training"]).resize)
    print(_table(result, about))
    print(f"\n{_write_json(options.json or options.run / 'evaluation.json', _results(result, about))}")
    if options.detections:
        ids = [dataset.record(i).image_id for i in range(len(dataset))]
        print(_write_json(options.detections, coco_results(found, ids, about["category_ids"])))


def detect(options: argparse.Namespace) -> None:
    """Draw what a finished run detects in images, and write it down."""
    from tqdm import tqdm

    from minidet.data import load_image
    from minidet.evaluation.detector import coco_categories
    from minidet.plotting import detections_picture, save_figure
    from minidet.pytorch.inference import coco_results, detect_images

    if not 0 <= options.score <= 1:
        raise ValueError(f"score = {options.score} must be in 0 … 1")
    model, about = _load_run(options.run)
    resize = TrainingConfig.from_dict(about["training"]).resize
    images: list[dict[str, Any]] = []
    found, failed = [], []
    for path in tqdm(options.images, unit="image"):
        try:
            image = load_image(path)
        except ValueError as error:
            tqdm.write(f"minidet: left out: {error}", file=sys.stderr)
            failed.append(path.name)
            continue
        found += detect_images(model, [image], resize)
        number = len(images) + 1
        taken = {entry["picture"] for entry in images}
        name = path.stem if f"{path.stem}.png" not in taken else f"{path.stem}_{number}"
        picture = detections_picture(image, found[-1], about["classes"], options.score)
        (saved,) = save_figure(picture, options.out, name, ("png",))
        size = {"height": image.shape[0], "width": image.shape[1]}
        images.append({"id": number, "file_name": str(path), **size, "picture": saved.name})
    entries = coco_results(found, [image["id"] for image in images], about["category_ids"])
    content = {
        "images": images,
        "categories": coco_categories(about),
        "annotations": [
            {"id": i, **entry, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
            for i, entry in enumerate(entries, start=1)
        ],
    }
    file = _write_json(options.out / "detections.json", content)
    drawn = sum(entry["score"] >= options.score for entry in entries)
    print(
        f"{len(entries)} detections in {len(images)} images, {drawn} of them drawn: {file} and the pictures beside it"
    )
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(options.images)} images could not be read, see above: {', '.join(failed)}"
        )


def inspect(options: argparse.Namespace) -> None:
    """Look at a data set as a dense detector will."""
    from minidet import inspection
    from minidet.inspection import compared
    from minidet.inspection.page import inspection_page
    from minidet.inspection.suggest import suggest_anchors
    from minidet.plotting import save_figure

    dataset = _open(options)
    resize = None
    if options.source != "shapes" and not options.native:
        resize = ResizeConfig(options.shorter_side, options.longer_side)
    rule = AssignmentConfig(options.positive_iou, options.negative_iou)
    anchors = _MODELS[options.anchors](max(1, len(dataset.classes))).anchors
    report = inspection.inspect(dataset, anchors, rule, resize=resize, check_images=not options.skip_images)
    print(report.table())
    name = f"inspect_{_slug(dataset.name)}"
    pages = save_figure(inspection_page(report, dataset), options.out, name, ("png",))
    content = report.to_dict()
    if options.suggest:
        better = suggest_anchors(dataset, rule, resize)
        suggested = inspection.inspect(dataset, better, rule, resize=resize, check_images=False)
        print(f"\n{compared(report, suggested)}\n\n{_how_to_use(better)}")
        pages += save_figure(inspection_page(suggested, dataset), options.out, f"{name}_suggested", ("png",))
        content["suggested"] = suggested.to_dict()
    print("\n" + "\n".join(f"page: {page}" for page in pages))
    if options.json:
        print(f"data: {_write_json(options.json, content)}")


def _how_to_use(anchors: AnchorConfig) -> str:
    """What to tell `minidet train`: the same in short, and in full."""
    default = asdict(AnchorConfig())
    changed = {name: value for name, value in asdict(anchors).items() if value != default[name]}
    return (
        "minidet train --anchors suggested finds the same for the training data and size; these very anchors are\n"
        f"  --set 'model.anchors={json.dumps(changed)}'"
    )


def export_shapes(options: argparse.Namespace) -> None:
    """Write the synthetic data set as a COCO folder."""
    from minidet.data.shapes import Shapes, export_coco

    size, sizes = (options.height, options.width), _sizes(options)
    dataset = Shapes(images=options.images, seed=options.seed, image_size=size, **sizes)
    print(f"wrote {export_coco(dataset, options.out)}")


def experiments(options: argparse.Namespace) -> None:
    """The paper's experiments at small scale, see `minidet.experiments.commands`."""
    from minidet.experiments import commands

    commands.main(options.arguments)


def _open(options: argparse.Namespace) -> Any:
    """The data set that the arguments name."""
    from minidet.data import open_dataset

    settings: dict[str, Any] = {}
    if options.source == "shapes":
        settings = {"images": options.images, "seed": options.seed, **_sizes(options)}
    elif options.split:
        settings = {"split": options.split}
    elif options.image_folder:
        settings = {"images": options.image_folder}
    return open_dataset(options.source, **settings)


def _sizes(options: argparse.Namespace) -> dict[str, Any]:
    """The smallest and the largest object of shapes, where they are given."""
    sizes = {"min_size": options.min_size, "max_size": options.max_size}
    return {name: size for name, size in sizes.items() if size is not None}


TRAINING_SHAPES: dict[str, Any] = {"images": 100_000, "objects": (8, 25), "distractors": (3, 10)}
"""What a run on shapes sees: more of them an image than `Shapes()` has, so a short run learns from more objects."""


def _plan(options: argparse.Namespace) -> tuple[dict[str, Any], Any, Any, Any]:
    """What a run is made of: where its data and weights are, the data set, RetinaNetConfig, TrainingConfig.

    From the arguments, or from the run's own config.json where it is resumed; ``--set`` has the last word in both.
    """
    from minidet.data import open_dataset
    from minidet.pytorch.checkpoint import load_settings

    changes = setting_changes(options.set)
    if options.tensorboard:
        changes["training"]["tensorboard"] = True
    if options.resume and not options.data:
        if options.anchors:
            raise ValueError(f"--anchors {options.anchors}: a run that is resumed keeps its anchors, leave it out")
        about = load_settings(options.out)
        model = RetinaNetConfig.from_dict(about.pop("model"))
        training = TrainingConfig.from_dict(about.pop("training")).with_changes(changes["training"])
        if "data" not in about:
            raise ValueError(f"{options.out} was not begun with minidet train: resume it from where it was, in Python")
        about["data"] |= changes["data"]
        return about, open_dataset(**about["data"]), model.with_changes(changes["model"]), training
    if not options.data:
        raise ValueError("give --data: shapes, a Pascal VOC folder, a COCO JSON file or folder")
    about = _sources(options, changes)
    dataset = open_dataset(**about["data"])
    left_out = f", {len(dataset.faults)} faults (minidet inspect tells)" if dataset.faults else ""
    print(f"{dataset.name}: {len(dataset)} images, {len(dataset.classes)} classes{left_out}")
    about["classes"] = list(dataset.classes)
    about["category_ids"] = list(getattr(dataset, "category_ids", range(1, len(dataset.classes) + 1)))
    about["backbone_weights"] = options.backbone_weights and str(options.backbone_weights.resolve())
    model, training = _preset(options.preset, len(dataset.classes))
    if options.shorter_side:
        longer = round(options.shorter_side * training.resize.longer_side / training.resize.shorter_side)
        changes["training"] = {"resize.shorter_side": options.shorter_side, "resize.longer_side": longer} | changes[
            "training"
        ]
    training = training.with_changes(changes["training"])
    if options.anchors:
        anchors = _anchors(options.anchors, dataset, model.with_changes(changes["model"]), training)
        model = replace(model, anchors=anchors)
    if about["val"] and training.evaluate_every is None:
        training = replace(training, evaluate_every=max(1, training.iterations // 5))
    return about, dataset, model.with_changes(changes["model"]), training


def _anchors(name: str, dataset: Any, model: RetinaNetConfig, training: TrainingConfig) -> AnchorConfig:
    """A preset's anchors, or those that fit the data at the size of the training (the middle one, with jitter)."""
    if name != "suggested":
        return _MODELS[name](model.num_classes).anchors
    from minidet.inspection.suggest import suggest_anchors

    resize = training.resize
    if training.jitter:
        resize = replace(resize, shorter_side=sum(training.jitter) // 2)
    anchors = suggest_anchors(dataset, model.assignment, resize)
    print(f"anchors: levels {anchors.levels}, sizes {anchors.sizes}, scales {anchors.scales}, ", end="")
    print(f"aspect ratios {anchors.aspect_ratios}")
    return anchors


def _sources(options: argparse.Namespace, changes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What to train on ("data") and what to evaluate on ("val", or None), as `open_dataset` takes them."""
    data: dict[str, Any] = {"source": _source(options.data)}
    if options.data == "shapes":
        data |= TRAINING_SHAPES
    if options.split:
        data["split"] = options.split
    data |= changes["data"]
    val: dict[str, Any] | None = None
    if options.val or options.val_split:
        val = {"source": _source(options.val or options.data)}
        if options.val_split:
            val["split"] = options.val_split
    elif options.data == "shapes":
        val = {"source": "shapes"}
    if val and val["source"] == "shapes":
        shared = ("image_size", "min_size", "max_size", "classes")
        val.update({name: data[name] for name in shared if name in data}, images=200, seed=data.get("seed", 0) + 1)
    return {"data": data, "val": val and val | changes["val"]}


def _source(name: str) -> str:
    """So that a run finds its data from anywhere."""
    return name if name == "shapes" else str(Path(name).resolve())


def setting_changes(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The values of ``SECTION.FIELD=VALUE`` by section and field."""
    changes: dict[str, dict[str, Any]] = {section: {} for section in ("model", "training", "data", "val")}
    for text in texts:
        name, equals, value = text.partition("=")
        section, dot, field = name.partition(".")
        if not (equals and dot and field) or section not in changes:
            raise ValueError(f"--set {text}: give SECTION.FIELD=VALUE, SECTION being one of {', '.join(changes)}")
        try:
            changes[section][field] = json.loads(value)
        except json.JSONDecodeError:
            changes[section][field] = value
    return changes


_MODELS: dict[str, Callable[..., RetinaNetConfig]] = {
    "tiny": RetinaNetConfig.tiny,
    "paper": RetinaNetConfig,
    "torchvision": RetinaNetConfig.torchvision,
}
"""The presets."""


def _preset(name: str, classes: int) -> tuple[Any, Any]:
    """RetinaNetConfig and TrainingConfig."""
    model = _MODELS[name](classes)
    if name == "paper":
        return model, TrainingConfig()
    if name == "torchvision":
        return model, TrainingConfig(resize=ResizeConfig(800, 1333))
    return model, TrainingConfig.tiny(precision="auto", workers=1)


def _load_run(run: Path) -> tuple[Any, dict[str, Any]]:
    """The model of a finished run, on a GPU if there is one, and its settings; classes without names get numbers."""
    import torch

    from minidet.pytorch.checkpoint import load_model, load_settings

    model = load_model(run)
    classes = model.config.num_classes
    unnamed = {"classes": [f"class {k}" for k in range(classes)], "category_ids": list(range(1, classes + 1))}
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), unnamed | load_settings(run)


def _results(result: Any, about: dict[str, Any]) -> dict[str, Any]:
    """The numbers of an evaluation as JSON: COCO's twelve, and the same of every class by its name."""
    names = dict(zip(about["category_ids"], about["classes"], strict=False))
    return {"metrics": result.metrics, "per_class": {names[i]: values for i, values in result.per_class.items()}}


def _table(result: Any, about: dict[str, Any]) -> str:
    """The twelve numbers, and AP and AP50 of every class ("–" where there is nothing to be found)."""
    content = _results(result, about)
    lines = [
        "  ".join(f"{name} {_number(value)}" for name, value in list(content["metrics"].items())[part])
        for part in (slice(0, 6), slice(6, 12))
    ]
    width = max(map(len, ["class", *content["per_class"]]))
    lines += ["", f"{'class':{width}}     AP   AP50"]
    lines += [f"{name:{width}}  {_number(v['AP'])}  {_number(v['AP50'])}" for name, v in content["per_class"].items()]
    return "\n".join(lines)


def _number(value: float) -> str:
    return "    –" if value < 0 else f"{value:.3f}"


def _write_json(path: Path, data: Any) -> Path:
    """Write in one step, so that the file is never half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return temporary.replace(path)


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in Path(name).stem) or "data"


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that say something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says_nothing = action.default is None or action.default is False or action.default == []
        return action.help if says_nothing else super()._get_help_string(action)


def _parser() -> argparse.ArgumentParser:
    paper, rule = ResizeConfig(), AssignmentConfig()
    parser = argparse.ArgumentParser(
        prog="minidet", description="Focal loss and RetinaNet, from scratch. Each command explains itself with --help."
    )
    parser.add_argument("--version", action="version", version=f"minidet {minidet.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    sources = "a Pascal VOC folder, a COCO JSON file or folder, or: shapes"

    def add(name: str, function: Any, text: str, more: str = "", to: Any = commands) -> argparse.ArgumentParser:
        command = to.add_parser(name, help=text, description=f"{text}. {more}", formatter_class=_Help)
        command.set_defaults(command=function)
        return command

    def add_sizes(to: argparse.ArgumentParser, which: str = "") -> None:
        to.add_argument("--min-size", type=float, metavar="PIXELS", help=f"{which}the smallest object (if not 12)")
        to.add_argument(
            "--max-size", type=float, metavar="PIXELS",
            help=f"{which}the largest object (if not three quarters of the image's shorter side)",
        )  # fmt: skip

    command = add(
        "inspect",
        inspect,
        "look at a data set as a dense detector will, before training on it",
        "Prints a table and writes a page of pictures: what is wrong with the annotations, how the boxes fit the "
        "anchors (a class that no anchor fits is never found), how many anchors are positive, and what the loss is "
        "made of when training starts.",
    )
    command.add_argument("source", metavar="DATA", help=sources)
    command.add_argument(
        "--suggest", action="store_true",
        help="also find the cheapest anchors that fit 99 in 100 boxes at this size, and show the coverage with them",
    )  # fmt: skip
    command.add_argument("--anchors", choices=_MODELS, default="paper", help="whose anchors to look at the data with")
    command.add_argument("--split", help="Pascal VOC: the list in ImageSets/Main to read (train, val, …)")
    command.add_argument("--image-folder", help="COCO: where the images are, if not beside the JSON file")
    command.add_argument("--images", type=int, default=200, help="shapes: how many images")
    command.add_argument("--seed", type=int, default=0, help="shapes: which images")
    add_sizes(command, "shapes: ")
    command.add_argument(
        "--shorter-side", type=int, default=paper.shorter_side, help="images are resized to this shorter side, pixels"
    )
    command.add_argument(
        "--longer-side", type=int, default=paper.longer_side, help="unless the longer side would exceed this, pixels"
    )
    command.add_argument("--native", action="store_true", help="do not resize (shapes never are)")
    command.add_argument(
        "--positive-iou", type=float, default=rule.positive_iou, help="an anchor is assigned from this IoU on"
    )
    command.add_argument(
        "--negative-iou", type=float, default=rule.negative_iou, help="and is background below this one"
    )
    command.add_argument("--skip-images", action="store_true", help="do not try to decode every image")
    command.add_argument("--out", type=Path, default=RUNS / "inspect", help="folder for the page")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the same as data to this file")

    command = add(
        "train",
        train,
        "train a RetinaNet",
        "Keeps everything in a folder: settings, metrics, checkpoints, weights, a picture of the curves and, where "
        "there are images to evaluate on, COCO's numbers and a page of detections in unseen images. Under torchrun it "
        "trains in several processes. A run that was stopped goes on with: minidet train --out RUN --resume.",
    )
    command.add_argument("--data", help=f"{sources}; needed but to resume")
    command.add_argument("--split", help="Pascal VOC: the list in ImageSets/Main to train on (train, …)")
    command.add_argument(
        "--val", metavar="DATA", help="evaluate on these images (shapes: 200 of another seed without being asked)"
    )
    command.add_argument("--val-split", metavar="SPLIT", help="Pascal VOC: the list to evaluate on, of --val or --data")
    command.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder to make for the run")
    command.add_argument(
        "--resume", action="store_true",
        help="go on with the run in RUN; its settings are taken from there, or with --data compared with those given",
    )  # fmt: skip
    command.add_argument(
        "--preset", choices=_MODELS, default="tiny",
        help="tiny: from scratch in minutes on a CPU, in bfloat16 where the processor has it; paper: RetinaNet-50, "
        "90,000 steps of 16 images; torchvision: the structure of its RetinaNet, 800 pixels",
    )  # fmt: skip
    command.add_argument(
        "--shorter-side", type=int, metavar="PIXELS",
        help="images are resized to this shorter side, the longer one's limit with it (the preset's: 256, 600 or 800)",
    )  # fmt: skip
    command.add_argument(
        "--anchors", choices=("suggested", *_MODELS),
        help="anchors of another preset, or suggested: those that fit the training data, see inspect --suggest",
    )  # fmt: skip
    command.add_argument(
        "--backbone-weights", type=Path, metavar="FILE",
        help="start from torchvision's ImageNet ResNet, a state dict; not with the tiny preset, which has other layers",
    )  # fmt: skip
    command.add_argument(
        "--set", action="append", default=[], metavar="SECTION.FIELD=VALUE",
        help="change a setting, any number of times: model.… (RetinaNetConfig: model.depth=18, model.loss.gamma=0, "
        "model.anchors.scales=[1]), training.… (TrainingConfig: training.learning_rate=0.01, training.iterations=500), "
        "data.… and val.… (options of the data sets: data.objects=[6,20]); VALUE is JSON or a plain word. An unknown "
        "field is answered with the known ones. Without training.evaluate_every there are five evaluations",
    )  # fmt: skip

    command.add_argument(
        "--tensorboard", action="store_true",
        help="write the metrics for TensorBoard too, into RUN/tensorboard (pip install tensorboard)",
    )  # fmt: skip

    command = add(
        "evaluate",
        evaluate,
        "measure a finished run: COCO's twelve numbers, and AP and AP50 of every class",
        "Objects to ignore (COCO crowd, VOC difficult) count neither way, areas are those of the boxes. An image that "
        "cannot be read is an error.",
    )
    command.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    command.add_argument("--data", help=f"{sources}; by default what the run was evaluated on")
    command.add_argument("--split", help="Pascal VOC: the list in ImageSets/Main to read (val, test, …)")
    command.add_argument("--images", type=int, default=200, help="shapes: how many images")
    command.add_argument("--seed", type=int, default=1, help="shapes: which images (0 is what is trained on)")
    command.add_argument("--json", type=Path, metavar="FILE", help="where the numbers go, if not RUN/evaluation.json")
    command.add_argument("--detections", type=Path, metavar="FILE", help="write the detections as COCO results")

    command = add(
        "detect",
        detect,
        "detect objects in images with a finished run",
        "Writes for each image a picture with boxes, classes and scores, and detections.json, a COCO data set whose "
        "annotations have a score: all detections above 0.05 (model.postprocess.score_threshold), drawn or not. An "
        "image that cannot be read is told and left out; the others are done, and the exit status is 1.",
    )
    command.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    command.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files of any size")
    command.add_argument("--out", type=Path, default=RUNS / "detect", help="folder for pictures and detections.json")
    command.add_argument("--score", type=float, default=0.3, help="draw detections from this score on, 0 to 1")

    data = commands.add_parser("data", help="make data sets").add_subparsers(required=True, metavar="KIND")
    command = add("shapes", export_shapes, "write the synthetic data set of shapes as a COCO folder", to=data)
    command.add_argument(
        "--out", type=Path, required=True, help="folder to make; a finished or broken-off one is continued"
    )
    command.add_argument("--images", type=int, default=1000, help="how many images")
    command.add_argument("--seed", type=int, default=0, help="which images")
    command.add_argument("--height", type=int, default=256, help="of the images, pixels")
    command.add_argument("--width", type=int, default=256, help="of the images, pixels")
    add_sizes(command)

    text = "run the paper's experiments at small scale, and set ours beside its numbers"
    command = add("experiments", experiments, text, "Each command explains itself with --help.")
    command.add_argument("arguments", nargs=argparse.REMAINDER, metavar="list|run|table …", help="what to do")

    assignment_commands(commands, add)

    return parser
