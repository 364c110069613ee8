"""What `inspect` finds: what is wrong with a data set, and whether anchors fit its boxes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minidet import data, inspection
from minidet.config import AnchorConfig, AssignmentConfig, LossConfig, ResizeConfig
from minidet.data import DatasetError, Fault, Record, Sample
from minidet.data.shapes import Shapes
from minidet.data.voc import Voc
from minidet.inspection.page import inspection_page
from minidet.inspection.report import SIZES, Report
from minidet.plotting import save_figure
from minidet.reference import assign_pyramid, cross_entropy, dense_focal_loss, focal_loss
from tests.datasets import BCCD, write_voc

SQUARES = AnchorConfig(levels=(3,), sizes=(32,), scales=(1,), aspect_ratios=(1,))
"""Over 64 x 64 pixels: 8 x 8 squares of 32 x 32, 8 pixels apart, the first centred at (4, 4)."""


class Memory:
    """Records of grey images; those of `broken` cannot be decoded."""

    faults: tuple[Fault, ...] = ()
    name = "memory"

    def __init__(self, records: list[Record], classes: tuple[str, ...], broken: tuple[int, ...] = ()) -> None:
        self.records, self.classes, self.broken = records, classes, broken

    def __len__(self) -> int:
        return len(self.records)

    def record(self, index: int) -> Record:
        return self.records[index]

    def __getitem__(self, index: int) -> Sample:
        if index in self.broken:
            raise DatasetError(Fault(data.UNREADABLE_IMAGE, index, f"{index}.png", f"{index}.png cannot be decoded"))
        return self.records[index].with_image(np.full((*self.records[index].image_size, 3), 200, np.uint8))


def record(
    image_id: int, *objects: tuple[int, Any], ignore: tuple[int, ...] = (), size: tuple[int, int] = (64, 64)
) -> Record:
    """Objects are (class, box)."""
    boxes = np.array([box for _, box in objects], np.float64).reshape(-1, 4)
    flagged = np.isin(np.arange(len(objects)), ignore)
    classes = np.array([label for label, _ in objects], np.int64)
    return Record(image_id, f"{image_id}.png", size, boxes, classes, flagged, flagged)


def look(dataset: Any, **options: Any) -> Report:
    return inspection.inspect(dataset, **{"anchors": SQUARES, "resize": None, "progress": False, **options})


ANCHOR = (20, 20, 52, 52)  # an anchor's own place: centre (36, 36)
TINY = (2, 2, 6, 6)
BOTH = ((0, ANCHOR), (1, TINY))
TWO = Memory([record(0, *BOTH), record(1), record(2, *BOTH, ignore=(0, 1))], ("a", "b"))


def many_classes(images: int = 12) -> Memory:
    rng = np.random.default_rng(0)
    records = []
    for i in range(images):
        corners, sides = rng.uniform(0, 200, (8, 2)), np.exp(rng.normal(3.3, 0.8, (8, 2)))
        objects = zip(rng.integers(0, 80, 8).tolist(), np.hstack([corners, corners + sides]), strict=True)
        records.append(record(i, *objects, ignore=(0,), size=(300, 400)))
    return Memory(records, tuple(f"_$class of the number {k}" for k in range(80)))


def test_counts() -> None:
    found = look(TWO).to_dict()
    assert (found["images"], found["boxes"], found["not_counted"], found["images_without_boxes"]) == (3, 2, 2, 2)
    assert [(row["name"], row["boxes"], row["images"]) for row in found["classes"]] == [("a", 1, 1), ("b", 1, 1)]
    assert [found["sizes"][name]["boxes"] for name in SIZES] == [1, 1, 0]  # 32 itself is medium, as 96 is
    assert list(found["box_size"].values()) == pytest.approx([4, 5.4, 18, 30.6, 32])  # min, 5 %, median, 95 %, max
    assert found["anchor_size"]["min"] == found["anchor_size"]["max"] == 32
    assert found["box_ratio"]["max"] == 1
    edge = record(0, (0, (0, 0, 96, 96)), (0, (0, 0, 97, 96)), (0, (0, 0, 31, 32)), size=(128, 128))
    sizes = look(Memory([edge], ("a",))).size_coverage()
    assert [sizes[name]["boxes"] for name in SIZES] == [1, 1, 1]


def test_coverage_by_hand() -> None:
    """The box of an anchor's place: that anchor and its 4 neighbours, 8 pixels off, IoU 24 / 40 = 0.6.

    The 4 x 4 box lies inside 4 anchors, IoU 16 / 1024 each. Forced, 3 of them become its own; the fourth, centred at
    (12, 12), overlaps the other box more and becomes that one's sixth.
    """
    report = look(TWO)
    assert report.boxes.anchors.tolist() == [5, 0]
    assert report.boxes.forced.tolist() == [6, 3]
    assert math.isnan(report.boxes.best_iou[0])
    assert report.boxes.best_iou[1] == 1 / 64
    covered, without = report.class_coverage()
    assert (covered["share"], covered["share_forced"], covered["without_anchor"], covered["max_iou"]) == (1, 1, 0, None)
    assert (without["share"], without["share_forced"], without["without_anchor"]) == (0, 1, 1)
    assert without["median_iou"] == without["max_iou"] == 1 / 64
    assert report.worst() == [{"image": 0, "class": "b", "size": 4, "ratio": 1, "best_iou": 1 / 64}]
    assert report.verdict() == [
        "class b: 100.0 % of its boxes get no anchor (0.0 % with force_match); most are smaller than the smallest "
        "anchor, 32 pixels: add smaller ones or enlarge images"
    ]


def test_anchors_per_image() -> None:
    report = look(TWO)
    np.testing.assert_array_equal(report.counts, [[5, 0, 59], [0, 0, 64], [0, 0, 64]])  # flagged boxes have no part
    assert report.imbalance == pytest.approx(187 / 5)
    positive = report.to_dict()["anchors_per_image"]["positive"]
    assert positive == {"mean": pytest.approx(5 / 3), "median": 0, "min": 0, "max": 5}
    forced = look(TWO, assignment=AssignmentConfig(force_match=True))
    np.testing.assert_array_equal(forced.counts[0], [9, 0, 55])
    assert forced.boxes.anchors.tolist() == [5, 0]  # coverage is told with and without in any case


def test_agrees_with_the_reference_on_shapes() -> None:
    dataset, config = Shapes(images=4, seed=3), AnchorConfig()
    report = look(dataset, anchors=config, check_images=False)
    for i in range(4):
        assigned = assign_pyramid((256, 256), dataset.record(i).boxes, config)
        expected = [(assigned >= 0).sum(), (assigned == -2).sum(), (assigned == -1).sum()]
        np.testing.assert_array_equal(report.counts[i], expected)
        matched = np.bincount(assigned[assigned >= 0], minlength=len(dataset.record(i).boxes))
        np.testing.assert_array_equal(report.boxes.anchors[report.boxes.image == i], matched)
    assert (report.counts.sum(axis=1) == sum(9 * g.rows * g.columns for g in config.grids((256, 256)))).all()
    assert ((report.boxes.forced > 0) | (report.boxes.anchors == 0)).all()  # forcing takes no anchor away


def test_a_box_hidden_by_another_gets_no_anchor() -> None:
    """Of two boxes in one place the first gets all anchors, though they fit both."""
    report = look(Memory([record(0, (0, ANCHOR), (1, ANCHOR))], ("a", "b")))
    assert report.boxes.anchors.tolist() == [5, 0]
    assert report.boxes.best_iou[1] == 1
    assert "class b: 100.0 %" in report.verdict()[0]
    assert "overlap another box more" in report.verdict()[0]


@pytest.mark.parametrize(
    ("box", "remedy"),
    [
        ((0, 0, 64, 64), "larger than the largest anchor"),
        ((0, 10, 64, 26), "flatter or taller"),
        ((24, 24, 56, 56), "lie between anchors"),
    ],
)
def test_remedies(box: tuple[float, ...], remedy: str) -> None:
    config = AssignmentConfig(positive_iou=0.9)
    assert remedy in look(Memory([record(0, (0, box))], ("a",)), assignment=config).verdict()[0]


def test_pixels_are_those_of_the_networks_input() -> None:
    dataset = Memory([record(0, (0, (0, 0, 40, 10)), size=(100, 201))], ("a",))
    report = look(dataset, resize=ResizeConfig(50, 100))  # the longer side decides: 201 -> 100, 100 -> round(49.75)
    np.testing.assert_array_equal(report.image_sizes, [[50, 100]])
    assert report.boxes.size[0] == pytest.approx(math.sqrt(40 * 100 / 201 * 5))
    assert report.boxes.ratio[0] == pytest.approx(5 / (40 * 100 / 201))
    assert report.counts.sum() == 7 * 13
    assert "the shorter side becomes 50" in report.table()


@pytest.mark.parametrize("gamma_alpha", [(2.0, 0.25), (0.0, None), (2.0, 1.0)])
def test_initial_losses_are_those_of_all_entries(gamma_alpha: tuple[float, float | None]) -> None:
    """Against the losses of whole (N, K) arrays."""
    gamma, alpha = gamma_alpha
    boxes = [(0, ANCHOR), (2, (3, 5, 30, 44))]
    prior, loss = 0.02, LossConfig(gamma=gamma, alpha=alpha)
    rows = look(Memory([record(0, *boxes)], ("a", "b", "c")), loss=loss, prior=prior).initial_losses()
    assigned = assign_pyramid((64, 64), np.array([box for _, box in boxes], float), SQUARES)
    assert (assigned == -2).any()
    labels = np.where(assigned >= 0, np.array([0, 2])[assigned], assigned)
    targets = (labels[:, None] == np.arange(3))[labels != -2]
    assert [(row["loss"], row["p"]) for row in rows] == [
        (name, p) for p in (0.02, 0.5) for name in ("cross entropy", "focal loss")
    ]
    for row in rows:
        logits = np.full(targets.shape, math.log(row["p"] / (1 - row["p"])))
        focal = row["loss"] == "focal loss"
        full = focal_loss(logits, targets, gamma, alpha) if focal else cross_entropy(logits, targets)
        assert row["objects"] == pytest.approx(full[targets].sum(), rel=1e-12)
        assert row["background"] == pytest.approx(full[~targets].sum(), rel=1e-12)
        assert row["share"] == pytest.approx(full[targets].sum() / full.sum(), rel=1e-12)
    dense, _ = dense_focal_loss(np.full((64, 3), math.log(prior / (1 - prior))), labels, gamma, alpha)
    assert dense * (labels >= 0).sum() == pytest.approx(rows[1]["objects"] + rows[1]["background"], rel=1e-12)


def test_faults_and_broken_images() -> None:
    dataset = Memory(TWO.records, TWO.classes, broken=(1,))
    dataset.faults = tuple(Fault(data.NO_AREA, 0, "0.xml", f"0.xml: object {i} has no area") for i in range(20))
    report = look(dataset)
    assert report.to_dict()["fault_kinds"] == {data.NO_AREA: 20, data.UNREADABLE_IMAGE: 1}
    assert (len(report.faults), len(look(dataset, check_images=False).faults)) == (21, 20)
    table = report.table()
    assert "- 0.xml: object 9 has no area\n… and 11 more" in table
    assert "- 20 faults of kind 'no area'" in table
    assert len(inspection_page(report, dataset).axes) == 10  # though one image cannot be shown


def test_faults_of_files(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", ("cat", (1, 1, 40, 30)), ("cat", (5, 5, 5, 5)), ("cat", (1, 1, 40, 30)))
    write_voc(tmp_path, "b", ("dog", (5, 5, 45, 20)))
    (tmp_path / "JPEGImages" / "b.jpg").write_bytes(b"no image")
    report = look(Voc(tmp_path), resize=ResizeConfig())
    kinds = [data.NO_AREA, data.DUPLICATE, data.OUTSIDE, data.UNREADABLE_IMAGE]
    assert [fault.kind for fault in report.faults] == kinds
    assert [fault["image_id"] for fault in report.to_dict()["faults"]] == ["a", "a", "b", "b"]


EMPTIES = {
    "no images": Memory([], ("a",)),
    "no classes": Memory([], ()),
    "no boxes": Memory([record(0), record(1, (0, TINY), ignore=(0,))], ("a",)),
    "no positives": Memory([record(0, (0, TINY))], ("a",)),
}
FULL = {"small": TWO, "80 classes": many_classes(), "shapes": Shapes(images=6)}


@pytest.mark.parametrize("name", [*EMPTIES, *FULL])
def test_reports_are_json_and_fit_a_terminal(name: str) -> None:
    report = look({**EMPTIES, **FULL}[name])
    found = report.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert max(map(len, report.table().splitlines())) <= 100
    assert found["verdict"]
    if name in EMPTIES:
        assert found["imbalance"] is None
        assert found["initial_losses"][0]["share"] in (None, 0)


def test_verdicts_without_anything() -> None:
    assert look(EMPTIES["no images"]).verdict()[0].startswith("there are no images")
    assert look(EMPTIES["no boxes"]).verdict()[0].startswith("there are no boxes to learn from")
    assert look(Memory([record(0, (0, ANCHOR))], ("a",))).verdict() == ["nothing to fix"]
    assert look(Memory([record(0, (0, ANCHOR))], ("a", "b"))).verdict()[0].startswith("no box at all: b;")
    verdict = look(FULL["80 classes"]).verdict()
    assert len(verdict) == 12
    assert verdict[-1].endswith("more classes with boxes that get no anchor")


def named(**boxes: int) -> Memory:
    """So many boxes of each class, every one in an anchor's own place."""
    labels = [k for k, count in enumerate(boxes.values()) for _ in range(count)]
    return Memory([record(i, (label, ANCHOR)) for i, label in enumerate(labels)], tuple(boxes))


@pytest.mark.parametrize(
    ("few", "other"),
    [
        ("RCB", "RBC"), ("rbc", "RBC"), ("RBCs", "RBC"), ("plateletes", "Platelets"), ("Platelts", "Platelets"),
        ("plotelets", "Platelets"), ("white blood-cell", "white_blood_cell"), ("cell1", "Cell_1"), ("xRBC", "RBC"),
    ],
)  # fmt: skip
def test_a_rare_class_whose_name_is_near_anothers_is_told(few: str, other: str) -> None:
    for classes in ({few: 1, other: 29}, {other: 29, few: 1}):
        told = f"class {few} has 1 box, and its name is near {other} (29 boxes): a misspelling?"
        assert look(named(**classes)).verdict() == [told]


@pytest.mark.parametrize(
    ("few", "other"),
    [
        ("cat", "horse"), ("class1", "class2"), ("class 10", "class"), ("ab", "ac"), ("a1b", "a1c"),
        ("Platlet", "Platelets"), ("RCB", "RBCs"), ("abcd", "badc"), ("abc", "cba"),
    ],
)  # fmt: skip
def test_other_names_are_not_near(few: str, other: str) -> None:
    assert look(named(**{few: 1, other: 29})).verdict() == ["nothing to fix"]


def test_a_class_that_is_not_rare_is_no_misspelling() -> None:
    for few, many, told in ((1, 10, False), (1, 11, True), (5, 50, False), (5, 51, True), (6, 99, False)):
        assert (look(named(RCB=few, RBC=many)).verdict() != ["nothing to fix"]) == told
    (line,) = look(named(RCB=1, RBC=29, RBCs=40)).verdict()[:1]
    assert "RBC (29 boxes)" in line  # not the other, which is two edits away
    assert "RBC (30 boxes)" in look(named(RBD=1, RBE=20, RBC=30)).verdict()[0]  # of several the most frequent
    cells = look(
        named(**{f"{'x' * k}cell": 1 for k in range(3, 3 + 24, 2)}, **{f"{'x' * k}cell": 11 for k in range(4, 28, 2)})
    )
    assert len(cells.verdict()) == 11
    assert cells.verdict()[-1] == "and 2 more classes whose names are near another's"


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 5, 4, 9), (5, 5, math.nan, 9)])
def test_boxes_that_no_reader_lets_through(box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"boxes of image 7\[0\]"):
        look(Memory([record(7, (0, box))], ("a",)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no images", "80 classes", "shapes"])
def test_pages_are_drawn(name: str, tmp_path: Path) -> None:
    """Without a warning, of which each would be an error here: of the layout, of missing glyphs, of divisions."""
    dataset = {**EMPTIES, **FULL}[name]
    (path,) = save_figure(inspection_page(look(dataset), dataset), tmp_path, "page", ("png",))
    assert path.stat().st_size > 20_000


def test_page_shows_what_needs_attention_first() -> None:
    records = [record(i, (0, ANCHOR)) for i in range(8)] + [record(8, (0, TINY)), record(9, (0, ANCHOR))]
    dataset = Memory(records, ("a",))
    dataset.faults = (Fault(data.NO_AREA, 9, "9.xml", "9.xml: object 2 has no area"),)
    titles = [axes.get_title() for axes in inspection_page(look(dataset), dataset).axes]
    assert titles[:3] == ["9: 1 box, fault: no area", "8: 1 box, 1 without an anchor", "0: 1 box"]


def test_data_needs_neither_torch_nor_matplotlib() -> None:
    code = "import sys, minidet.inspection, minidet.evaluation, minidet.data; print(sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "minidet.data.voc" in result.stdout
    assert not {"'torch'", "'matplotlib'"} & set(result.stdout.strip("[]\n").split(", "))


@pytest.mark.slow
@pytest.mark.skipif(not BCCD.is_dir(), reason="the data set is not here")
def test_blood_cells() -> None:
    everything = data.open_dataset(BCCD)
    dataset = Memory([everything.record(i) for i in range(0, 292, 4)], everything.classes)
    dataset.faults = tuple(everything.faults)
    report = look(dataset, anchors=AnchorConfig(), resize=ResizeConfig(), check_images=False)
    broken = [fault.image_id for fault in report.faults if fault.kind == data.NO_AREA]
    assert broken == ["BloodImage_00338", "BloodImage_00343"]
    assert [row["share"] for row in report.class_coverage()] == [1, 1, 1]  # the paper's anchors fit these cells
    assert 150 < report.imbalance < 250
    assert report.verdict() == ["2 faults of kind 'no area': see the list of faults"]
