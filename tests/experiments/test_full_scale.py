"""The paper's own experiments, driven on a COCO of 20 images in COCO's own layout, with networks of a second."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import minidet
from minidet import cli
from minidet.config import RetinaNetConfig, TrainingConfig
from minidet.data import Shapes, open_dataset
from minidet.data.view import WithObjects
from minidet.experiments import cost, full_scale, full_tables, rows
from minidet.experiments import published as paper
from minidet.experiments.sources import Sources, architecture
from minidet.pytorch.resnet import ResNet

pytestmark = pytest.mark.slow

IDS = (3, 17)
"""Numbers of the two categories, with gaps as COCO's."""
SMALL = (
    "model.num_classes=2", "model.depth=18", "model.width=8", "model.fpn_channels=8", "model.head_convs=1",
    "model.head_channels=8", "model.anchors.levels=[3,4]", "model.anchors.sizes=[16,32]",
    "model.postprocess.score_threshold=0", "training.iterations=4", "training.batch_size=2", "training.warmup=1",
    "training.resize.shorter_side=64", "training.resize.longer_side=96", "training.workers=0", "training.log_every=2",
)  # fmt: skip
"""What makes a row a matter of a second."""


def write_part(root, split, images, seed):
    """Images of shapes under COCO's names, with outlines of half of each box's area; one image is empty."""
    shapes = Shapes(images, seed, (64, 80), objects=(1, 4), distractors=(0, 1), classes=("disk", "square"))
    folder = root / split
    folder.mkdir(parents=True)
    content = {"images": [], "annotations": [], "categories": [{"id": i, "name": f"thing {i}"} for i in IDS]}
    for sample in shapes:
        number = 1000 * seed + sample.image_id
        name = f"{number:012d}.jpg"
        Image.fromarray(sample.image).save(folder / name)
        content["images"].append({"id": number, "file_name": name, "height": 64, "width": 80})
        for k, (x1, y1, x2, y2) in zip(sample.classes, sample.boxes.tolist(), strict=True):
            if sample.image_id == images - 1:
                break
            box = [round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1)]
            entry = {"id": len(content["annotations"]) + 1, "image_id": number, "category_id": IDS[k], "bbox": box}
            crowd = int(len(content["annotations"]) == 2)
            content["annotations"].append({**entry, "area": box[2] * box[3] / 2, "iscrowd": crowd})
    return content


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """The folder of COCO and a file of ImageNet's weights."""
    root = tmp_path_factory.mktemp("coco")
    (root / "annotations").mkdir()
    for split, images, seed in (("train2017", 13, 1), ("val2017", 5, 2), ("test2017", 2, 3)):
        content = write_part(root, split, images, seed)
        name = f"instances_{split}.json"
        if split == "test2017":
            name = "image_info_test-dev2017.json"
            del content["annotations"]
        (root / "annotations" / name).write_text(json.dumps(content))
    torch.manual_seed(0)
    state = ResNet(RetinaNetConfig(depth=18, width=8)).state_dict()
    torch.save({**state, "fc.weight": torch.zeros(1000, 64), "fc.bias": torch.zeros(1000)}, root / "resnet18.pth")
    return root


def words(coco, results, *more):
    """The command that runs the first row of Table 1b."""
    changes = [word for change in SMALL for word in ("--set", change)]
    return ["experiments", "run", "1b/gamma=2", "--preset", "paper", "--data", str(coco), "--results", str(results),
            "--backbone-weights", str(coco / "resnet18.pth"), *changes, *more]  # fmt: skip


@pytest.fixture(scope="module")
def done(coco, tmp_path_factory):
    """The results of that command; the images to test on are those of val2017, whose annotations are known."""
    results = tmp_path_factory.mktemp("results")
    test = str(coco / "annotations" / "instances_val2017.json")
    assert cli.main(words(coco, results, "--test", test)) == 0
    return results


def test_a_row_is_run_on_coco_as_it_is_distributed(coco, done, capsys):
    run = json.loads((done / "1b_gamma=2_seed0.json").read_bytes())
    assert run["diverged_at"] is None
    assert run["config"]["data"] == {"source": "coco", "split": "train2017"}
    assert run["backbone"] == hashlib.sha256((coco / "resnet18.pth").read_bytes()).hexdigest()[:12]
    assert (run["processes"], run["seconds_per_step"] > 0) == (1, True)
    assert cli.main(words(coco, done)) == 0
    assert capsys.readouterr().out == "0 runs to do, 1 are done\n"
    assert cli.main(["experiments", "table", "1b", "--results", str(done)]) == 0  # the folder knows its setting
    table = capsys.readouterr().out
    assert "1 only" in table
    assert "not run yet: 8 of 9 rows" in table
    assert cli.main(words(coco, done, "--set", "training.iterations=5")) == 1
    assert "give the same --set and --images-per-step, or another folder" in capsys.readouterr().err


def test_its_numbers_are_those_of_pycocotools_with_the_areas_of_the_outlines(coco, done):
    truth = COCO(coco / "annotations" / "instances_val2017.json")
    written = next(done.glob("detections_*_results.json"))
    assert {entry["category_id"] for entry in json.loads(written.read_bytes())} <= set(IDS)
    evaluation = COCOeval(truth, truth.loadRes(str(written)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    run = json.loads((done / "1b_gamma=2_seed0.json").read_bytes())
    assert list(run["metrics"].values()) == pytest.approx(evaluation.stats, abs=0.6e-5)  # written with five digits
    assert run["metrics"]["AR100"] > 0


def test_images_without_objects_are_left_out_and_areas_are_the_outlines(coco):
    whole = open_dataset(coco, split="train2017")
    assert (len(whole), len(WithObjects(whole)), whole.category_ids) == (13, 12, IDS)
    record = whole.record(0)
    assert record.areas == pytest.approx((record.boxes[:, 2:] - record.boxes[:, :2]).prod(1) / 2, abs=0.02)


def test_a_list_of_test_images_has_no_annotations(coco):
    test = open_dataset(coco / "annotations" / "image_info_test-dev2017.json")
    assert [len(record.boxes) for record in map(test.record, range(len(test)))] == [0, 0]
    assert test.faults == []
    assert test[0].image.shape == (64, 80, 3)


@pytest.mark.subprocess
def test_torchrun_trains_one_run_over_all_its_processes(coco, done, tmp_path):
    """Two processes reach what one does, to rounding, and measure all images between them."""
    root = Path(minidet.__file__).parent.parent
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "minidet"]
    ended = subprocess.run(
        [*start, *words(coco, tmp_path)], cwd=root, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    one, two = (json.loads((folder / "1b_gamma=2_seed0.json").read_bytes()) for folder in (done, tmp_path))
    assert two["processes"] == 2
    for name in ("classification", "box"):
        assert two["curve"][name] == pytest.approx(one["curve"][name], rel=2e-3)
    assert two["metrics"]["AR100"] == pytest.approx(one["metrics"]["AR100"], abs=0.1)
    assert {path.name for path in tmp_path.glob("*.json")} == {"1b_gamma=2_seed0.json", "setting.json"}


def test_the_dry_run_gives_gpu_hours_without_any_data(tmp_path, capsys):
    command = ["experiments", "run", "1b/gamma=2", "--preset", "paper", "--results", str(tmp_path), "--dry-run"]
    assert cli.main([*command, "--seconds-per-step", "0.4", "--gpus", "2"]) == 0
    told = capsys.readouterr().out
    assert "90,000 steps    0.40 s per step        20 GPU-hours" in told  # 90,000 * 0.4 s = 10 h on two GPUs
    assert "0.4 days on 2 GPUs" in told
    assert cli.main(command) == 0
    assert "from the paper's 10 to 35 hours on eight GPUs" in capsys.readouterr().out
    assert cli.main([*command, "--images-per-step", "4", "--seconds-per-step", "0.4"]) == 0
    assert "360,000 steps    0.10 s per step        10 GPU-hours" in capsys.readouterr().out


def test_hours_grow_with_the_images_and_the_layers():
    known = full_scale.experiments()
    fastest = [known[rows.depth_and_side(50, side)] for side in (400, 500, 600, 700, 800)]
    hours = [found.gpu_hours for found in cost.costs(fastest, cost.published())]
    assert hours == sorted(hours)
    assert 8 * 10 * 0.8 < hours[0] < hours[-1] < 8 * 35  # the paper's slowest has 101 layers


def test_the_settings_are_the_paper_s_and_its_authors():
    known = full_scale.experiments()
    focal = known[rows.FL]
    assert (focal.model, focal.model.depth) == (RetinaNetConfig(), 50)
    training = focal.training
    assert (training.iterations, training.batch_size, training.learning_rate) == (90_000, 16, 0.01)
    assert (training.freeze_at, training.bias_rate, training.bias_decay) == (2, 2.0, False)
    assert (training.loss.smooth_l1_beta, TrainingConfig().loss.smooth_l1_beta) == (0.11, 1.0)
    assert known["1d/ohem-128-0.5"].training.loss.ohem_batch_size == 128
    assert known["1d/ohem-128-0.5"].model.depth == known["1d/focal"].model.depth == 101
    assert known["2/resnext-101-fpn"].model.groups == 32
    assert known["2/resnet-101-fpn"].training.iterations == 135_000
    for table in full_tables.TABLES.values():
        assert {row.name for row in table.rows} <= set(known)
    published = {row.published for row in full_tables.TABLES["1e"].rows}
    assert published == {tuple(row[:6]) for row in paper.TABLE_1E.values()}


def test_what_is_missing_is_said_before_anything_is_run(coco, tmp_path, capsys):
    known = full_scale.experiments()
    sources = Sources(coco, (coco / "resnet18.pth",))
    assert architecture(coco / "resnet18.pth") == (18, 1)
    with pytest.raises(ValueError, match=r"no ResNet-50 \(resnet18.pth: ResNet-18\): give its file too"):
        sources.check([known[rows.FL]])
    assert cli.main(["experiments", "run", "1b", "--preset", "paper"]) == 1
    assert "give --results" in capsys.readouterr().err
    assert cli.main(["experiments", "run", "1b", "--preset", "paper", "--results", str(tmp_path / "new")]) == 1
    assert "give --data: the folder of COCO" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
