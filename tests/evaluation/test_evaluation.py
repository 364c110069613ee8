"""COCO average precision: by hand where a reader can follow, and equal to pycocotools everywhere else."""

import contextlib
import copy
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from minidet import files
from minidet.data import Voc, write_coco
from minidet.evaluation import coco_metrics, evaluate
from minidet.evaluation.detector import coco_results
from minidet.structures import Detections
from tests.datasets import write_voc

KEYS = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
BOX = [0, 0, 50, 50]  # of medium area
ELSEWHERE = [300, 300, 50, 50]
ONE = pytest.approx(1, abs=1e-15)  # pycocotools divides by true + false + 2^-52, so that 1 becomes 1 - 2^-52


def ground_truth(*objects, images=3, categories=2):
    """A COCO dict; an object is (image_id, category_id, bbox) and, optionally, a dict of further keys."""
    annotations = []
    for number, (image_id, category_id, bbox, *extra) in enumerate(objects, start=1):
        area = bbox[2] * bbox[3]
        row = {"id": number, "image_id": image_id, "category_id": category_id, "bbox": bbox, "area": area, "iscrowd": 0}
        annotations.append(row | (extra[0] if extra else {}))
    return {
        "images": [{"id": i} for i in range(1, images + 1)],
        "categories": [{"id": k} for k in range(1, categories + 1)],
        "annotations": annotations,
    }


def detected(*rows):
    """A list of detections; a row is (image_id, category_id, bbox, score)."""
    return [dict(zip(("image_id", "category_id", "bbox", "score"), row, strict=True)) for row in rows]


def pycocotools(truth, detections):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        expected = COCOeval(coco, coco.loadRes(copy.deepcopy(detections)), "bbox")
        expected.evaluate()
        expected.accumulate()
        expected.summarize()
    return expected


def assert_equals_pycocotools(truth, detections):
    expected, result = pycocotools(truth, detections), evaluate(truth, detections)
    np.testing.assert_array_equal(result.precision, expected.eval["precision"])
    np.testing.assert_array_equal(result.recall, expected.eval["recall"])
    np.testing.assert_array_equal(result.scores, expected.eval["scores"])
    np.testing.assert_allclose(list(result.metrics.values()), expected.stats, rtol=0, atol=1e-12)


# By hand


def test_perfect_detections_have_ap_1():
    truth = ground_truth((1, 1, [5, 5, 20, 20]), (1, 2, [30, 5, 40, 40]), (2, 1, [0, 0, 100, 200]))
    found = [dict(row, score=0.9) for row in truth["annotations"]]
    assert coco_metrics(truth, found) == dict.fromkeys(KEYS, ONE)


def test_no_detections_have_ap_0():
    truth = ground_truth((1, 1, [5, 5, 20, 20]), (1, 2, [30, 5, 40, 40]), (2, 1, [0, 0, 100, 200]))
    assert coco_metrics(truth, []) == dict.fromkeys(KEYS, 0.0)


def test_nothing_to_be_found_is_minus_1():
    assert coco_metrics(ground_truth(), detected((1, 1, BOX, 0.5))) == dict.fromkeys(KEYS, -1.0)
    assert coco_metrics({"images": [], "categories": [], "annotations": []}, []) == dict.fromkeys(KEYS, -1.0)
    metrics = coco_metrics(ground_truth((1, 1, BOX)), detected((1, 1, BOX, 0.5)))
    assert [key for key, value in metrics.items() if value == -1] == ["APs", "APl", "ARs", "ARl"]


def test_right_wrong_right():
    """Precision is 1 up to recall 1/2 (51 of the 101 points) and 2/3 from there to recall 1 (50 points)."""
    truth = ground_truth((1, 1, BOX), (2, 1, BOX))
    found = detected((1, 1, BOX, 0.9), (3, 1, BOX, 0.8), (2, 1, BOX, 0.7))
    result = evaluate(truth, found)
    assert result.metrics["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-12)
    recall, precision = result.precision_recall(1, iou=0.75)
    np.testing.assert_allclose(precision, np.where(recall <= 0.5, 1, 2 / 3), atol=1e-12)


def test_envelope_lifts_precision_to_the_best_at_higher_recall():
    """Wrong, right, right: precision 0, 1/2, 2/3; at every recall it becomes 2/3."""
    truth = ground_truth((1, 1, BOX), (2, 1, BOX))
    found = detected((3, 1, BOX, 0.9), (1, 1, BOX, 0.8), (2, 1, BOX, 0.7))
    assert coco_metrics(truth, found)["AP50"] == pytest.approx(2 / 3, abs=1e-12)


def test_second_detection_of_an_object_is_wrong():
    truth = ground_truth((1, 1, BOX), (2, 1, BOX))
    twice = detected((1, 1, BOX, 0.9), (1, 1, BOX, 0.8), (2, 1, BOX, 0.7))
    assert coco_metrics(truth, twice)["AP50"] == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-12)


@pytest.mark.parametrize(("height", "passed"), [(50, 1), (75, 6), (74, 5), (49, 0), (95, 10)])
def test_iou_at_a_threshold_passes(height, passed):
    """A part of a 100 x 100 object, at IoU height / 100, passes that threshold and those below it."""
    truth = ground_truth((1, 1, [0, 0, 100, 100]))
    metrics = coco_metrics(truth, detected((1, 1, [0, 0, 100, height], 0.5)))
    assert metrics["AP"] == pytest.approx(passed / 10, abs=1e-12)
    assert metrics["AP75"] == pytest.approx(float(passed >= 6))


def test_better_score_chooses_first():
    """The sloppy detection takes the object, the exact one comes too late; at IoU 0.95 only that one can."""
    truth = ground_truth((1, 1, [0, 0, 100, 100]))
    result = evaluate(truth, detected((1, 1, [0, 0, 100, 100], 0.5), (1, 1, [0, 0, 100, 80], 0.9)))
    assert result.precision_recall(1, iou=0.8)[1].max() == ONE
    assert result.precision_recall(1, iou=0.95)[1].max() == pytest.approx(0.5)


def test_of_equal_ious_the_later_object_is_matched():
    """The first detection overlaps both objects by 0.8, the second only the upper one: it needs that one left over."""
    upper, lower = (1, 1, [0, 0, 100, 80]), (1, 1, [0, 20, 100, 80])
    found = detected((1, 1, [0, 0, 100, 100], 0.9), (1, 1, [0, 0, 100, 60], 0.8))
    assert coco_metrics(ground_truth(upper, lower), found)["AP50"] == ONE
    assert coco_metrics(ground_truth(lower, upper), found)["AP50"] == pytest.approx(51 / 101)


def test_crowd_takes_any_number_of_detections_and_counts_for_nothing():
    truth = ground_truth((1, 1, BOX), (1, 1, [100, 100, 200, 200], {"iscrowd": 1}))
    inside = detected((1, 1, [110, 110, 50, 50], 0.9), (1, 1, [110, 110, 50, 50], 0.8), (1, 1, [200, 200, 50, 50], 0.7))
    assert coco_metrics(truth, inside + detected((1, 1, BOX, 0.1)))["AP"] == ONE
    half_inside = detected((1, 1, [75, 110, 50, 50], 0.9))  # intersection / area of the detection = 1/2
    result = evaluate(truth, half_inside + detected((1, 1, BOX, 0.1)))
    assert result.metrics["AP50"] == ONE
    assert result.precision_recall(1, iou=0.55)[1].max() == pytest.approx(0.5)


def test_area_of_the_annotation_decides_its_range():
    truth = ground_truth((1, 1, BOX, {"area": 1000}))  # the mask of a 2500 pixels² box
    metrics = coco_metrics(truth, detected((1, 1, BOX, 0.5)))
    assert (metrics["APs"], metrics["APm"]) == (ONE, -1)
    del truth["annotations"][0]["area"]
    metrics = coco_metrics(truth, detected((1, 1, BOX, 0.5)))
    assert (metrics["APs"], metrics["APm"]) == (-1, ONE)


def test_unmatched_detection_outside_the_area_range_is_ignored():
    truth = ground_truth((1, 1, BOX))
    metrics = coco_metrics(truth, detected((2, 1, [0, 0, 500, 500], 0.9), (1, 1, BOX, 0.5)))
    assert metrics["AP50"] == pytest.approx(0.5)
    assert metrics["APm"] == ONE


def test_limit_of_detections():
    """An image and class may give 1, 10 and 100: the only right one comes second, eleventh and last."""
    truth = ground_truth((1, 1, BOX))
    for wrong, expected in ((0, [1, 1, 1]), (1, [0, 1, 1]), (10, [0, 0, 1]), (99, [0, 0, 1]), (100, [0, 0, 0])):
        found = detected(*[(1, 1, ELSEWHERE, 0.9)] * wrong, (1, 1, BOX, 0.5))
        metrics = coco_metrics(truth, found)
        assert [metrics[key] for key in ("AR1", "AR10", "AR100")] == expected


def test_equal_scores_go_by_image_then_by_place_in_the_list():
    truth = ground_truth((2, 1, BOX))
    found = detected((2, 1, BOX, 0.5), (1, 1, BOX, 0.5))
    assert coco_metrics(truth, found)["AP"] == coco_metrics(truth, found[::-1])["AP"] == pytest.approx(0.5)
    found = detected((2, 1, BOX, 0.5), (2, 1, ELSEWHERE, 0.5))
    assert coco_metrics(truth, found)["AP"] == ONE
    assert coco_metrics(truth, found[::-1])["AP"] == pytest.approx(0.5)


def test_id_0_is_an_object_like_any_other():
    """pycocotools takes the id of a match as its truth value: an object with the id 0 is never found."""
    truth, found = ground_truth((1, 1, BOX, {"id": 0})), detected((1, 1, BOX, 0.5))
    assert coco_metrics(truth, found)["AP"] == ONE
    assert pycocotools(truth, found).stats[0] == 0


# Equal to pycocotools


def random_set(seed, images=4, categories=3, objects=5, found=12, boxes="real", levels=None, crowds=0.15):
    """Ground truth and detections, half of them near an object.

    ``boxes``: "real", "grid" (whole numbers, so that IoUs tie and fall on thresholds) or "flat" (many of no area).
    ``levels``: how many different scores there are; None: all differ.
    """
    rng = np.random.default_rng(seed)
    image_ids, category_ids = rng.permutation(1000)[:images].tolist(), rng.permutation(90)[:categories].tolist()

    def box(near=None):
        if boxes == "real":
            size = np.exp(rng.uniform(2, 6, 2))
            drawn = np.concatenate([rng.uniform(0, 300, 2), size])
            if near is not None:
                drawn = near + rng.normal(0, 0.1, 4) * np.tile(near[2:], 2)
        else:
            smallest = 0 if boxes == "flat" else 1
            drawn = np.concatenate([rng.integers(0, 3, 2), rng.integers(smallest, 5, 2)]) * rng.choice([4, 32])
            if near is not None:
                drawn = near + rng.integers(-1, 2, 4) * rng.integers(0, 2, 4)
        drawn[2:] = np.maximum(drawn[2:], 0)
        return drawn.tolist()

    truth = {
        "images": [{"id": i} for i in image_ids],
        "categories": [{"id": k} for k in category_ids],
        "annotations": [],
    }
    places = [(rng.choice(image_ids[1:]), rng.choice(category_ids[1:])) for _ in range(images * objects)]
    for number, (image_id, category_id) in enumerate(places, start=1):
        bbox = box()
        area = [bbox[2] * bbox[3], 0.7 * bbox[2] * bbox[3], 32**2, 96**2, 32**2 - 1e-9, 0][rng.integers(6)]
        row = {"id": number, "image_id": int(image_id), "category_id": int(category_id), "bbox": bbox, "area": area}
        row |= {"iscrowd": int(rng.random() < crowds)} | ({"ignore": 1} if rng.random() < 0.2 else {})
        truth["annotations"].append(row)
    detections = []
    for _ in range(images * found):
        row = truth["annotations"][rng.integers(len(places))]
        if rng.random() < 0.6:
            image_id, category_id, bbox = row["image_id"], row["category_id"], box(np.array(row["bbox"]))
        else:
            image_id, category_id, bbox = rng.choice(image_ids), rng.choice(category_ids), box()
        score = rng.normal() if levels is None else rng.integers(levels) / levels
        detections += detected((int(image_id), int(category_id), bbox, float(score))) * (1 + (rng.random() < 0.1))
    return truth, detections


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"boxes": "grid"},
        {"boxes": "grid", "levels": 3, "crowds": 0.4},
        {"boxes": "flat", "levels": 2},
        {"levels": 1, "crowds": 0},
        {"images": 9, "objects": 1, "found": 1, "categories": 9},
        {"images": 2, "categories": 2, "objects": 10, "found": 150, "levels": 20, "boxes": "grid"},
        {"images": 3, "categories": 2, "objects": 40, "levels": 5, "boxes": "grid"},
    ],
    ids=["real", "grid", "crowds", "flat", "ties", "sparse", "many", "dense"],
)
def test_random_sets_equal_pycocotools(seed, settings):
    assert_equals_pycocotools(*random_set(seed, **settings))


SIDES = st.sampled_from([0, 1, 10, 19, 20, 32, 96])
BOXES = st.tuples(st.sampled_from([0, 1, 10]), st.sampled_from([0, 1, 10]), SIDES, SIDES).map(list)
PLACES = (st.integers(1, 2), st.integers(1, 2), BOXES)
FOUND = st.tuples(*PLACES, st.sampled_from([0, 0.5, 1]))
OBJECTS = st.tuples(*PLACES, st.fixed_dictionaries({"iscrowd": st.integers(0, 1)}))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(OBJECTS, max_size=6), st.lists(FOUND, min_size=1, max_size=8))
def test_small_whole_numbers_equal_pycocotools(objects, found):
    assert_equals_pycocotools(ground_truth(*objects), detected(*found))


# Properties


def test_order_of_the_lists_does_not_matter():
    """Only where no scores and no IoUs are equal."""
    truth, found = random_set(0, images=6)
    found = list({row["score"]: row for row in found}.values())
    expected = evaluate(truth, found)
    rng = np.random.default_rng(1)
    shuffled = {key: [rows[i] for i in rng.permutation(len(rows))] for key, rows in truth.items()}
    result = evaluate(shuffled, [found[i] for i in rng.permutation(len(found))])
    np.testing.assert_array_equal(result.precision, expected.precision)
    assert result.metrics == expected.metrics


def test_only_the_order_of_scores_matters():
    truth, found = random_set(2)
    stretched = [row | {"score": np.exp(3 * row["score"])} for row in found]
    assert coco_metrics(truth, stretched) == coco_metrics(truth, found)


def test_number_of_threads_does_not_matter():
    truth, found = random_set(3, images=20, categories=8)
    threads = numba.get_num_threads()
    expected = evaluate(truth, found)
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(evaluate(truth, found).precision, expected.precision)
    finally:
        numba.set_num_threads(threads)


def test_kernels_run_without_the_jit():
    truth, found = random_set(4, images=2, found=4)
    program = "import json, sys, minidet.evaluation as e; print(e.coco_metrics(*json.load(sys.stdin)))"
    root = Path(__file__).resolve().parents[2]
    printed = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps([truth, found]), env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert printed.strip() == str(coco_metrics(truth, found))


def test_files_and_objects_give_the_same_and_stay_as_they_are(tmp_path):
    truth, found = random_set(5)
    before = copy.deepcopy((truth, found))
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(found))
    metrics = coco_metrics(truth, found)
    assert list(metrics) == KEYS
    assert coco_metrics(tmp_path / "truth.json", str(tmp_path / "found.json")) == metrics
    assert (truth, found) == before


def test_arrays_and_numpy_numbers_are_welcome():
    truth, found = random_set(7)
    converted = [
        {"image_id": np.int64(row["image_id"]), "category_id": np.int32(row["category_id"]),
         "bbox": np.array(row["bbox"]), "score": np.float64(row["score"])}
        for row in found
    ]  # fmt: skip
    assert coco_metrics(truth, converted) == coco_metrics(truth, found)


def test_classes_and_curves():
    truth, found = random_set(6, categories=4)
    result = evaluate(truth, found)
    assert list(result.per_class) == result.category_ids.tolist() == sorted(row["id"] for row in truth["categories"])
    for key in KEYS:
        values = [row[key] for row in result.per_class.values() if row[key] > -1]
        assert result.metrics[key] == pytest.approx(np.mean(values), abs=1e-12)
    empty = truth["categories"][0]["id"]
    assert result.per_class[empty] == dict.fromkeys(KEYS, -1.0)
    assert (result.precision_recall(empty)[1] == -1).all()
    for category_id in set(result.per_class) - {empty}:
        recall, precision = result.precision_recall(category_id)
        assert recall.shape == precision.shape == (101,)
        assert (np.diff(precision) <= 0).all()
        assert precision.mean() == pytest.approx(result.per_class[category_id]["AP50"], abs=1e-12)


# Ids


def renamed(truth, found, names):
    """The same sets with other ids of images."""
    return (
        truth | {
            "images": [{"id": names[row["id"]]} for row in truth["images"]],
            "annotations": [row | {"image_id": names[row["image_id"]]} for row in truth["annotations"]],
        },
        [row | {"image_id": names[row["image_id"]]} for row in found],
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_image_ids_may_be_text(seed):
    """pycocotools sorts them as text; names of one length sort like their numbers, and then every tie falls alike."""
    truth, found = random_set(seed, boxes="grid", levels=3)
    named = renamed(truth, found, {row["id"]: f"{row['id']:06d}" for row in truth["images"]})
    assert_equals_pycocotools(*named)
    assert evaluate(*named).metrics == evaluate(truth, found).metrics


def test_numbers_come_before_text_among_equal_scores():
    truth, found = ground_truth((2, 1, BOX)), detected((2, 1, BOX, 0.5), (1, 1, BOX, 0.5))
    assert coco_metrics(*renamed(truth, found, {1: "a", 2: 7, 3: "b"}))["AP"] == ONE
    assert coco_metrics(*renamed(truth, found, {1: 7, 2: "a", 3: "b"}))["AP"] == pytest.approx(0.5)


def test_what_the_package_writes_it_measures(tmp_path):
    """Annotations of VOC, whose images have names, through `write_coco` and `coco_results`."""
    write_voc(tmp_path, "first", ("cat", (5, 5, 9, 9)), ("dog", (11, 3, 30, 20)))
    write_voc(tmp_path, "second", ("dog", (1, 1, 40, 30)))
    voc = Voc(tmp_path)
    records = [voc.record(i) for i in range(len(voc))]
    truth = write_coco(tmp_path / "truth.json", records, voc.classes, voc.category_ids)
    found = [Detections(record.boxes, np.full(len(record.boxes), 0.5), record.classes) for record in records]
    results = coco_results(found, [record.image_id for record in records], voc.category_ids)
    assert {row["image_id"] for row in results} == {"first", "second"}
    assert coco_metrics(truth, files.write_json(tmp_path / "found.json", results))["AP"] == ONE


# Bad input


@pytest.mark.parametrize(("name", "one"), [("images", 1), ("images", "a"), ("categories", 2)])
def test_an_id_that_is_given_twice_is_refused(name, one):
    truth = {"images": [], "categories": [], "annotations": []} | {name: [{"id": 5}, {"id": one}, {"id": one}]}
    with pytest.raises(ValueError, match=rf"^{name}\[2\]\['id'\] = {one!r} is that of {name}\[1\] too"):
        coco_metrics(truth, [])


@pytest.mark.parametrize(
    ("flag", "crowd"), [("0", 0), ("1", 1), (False, 0), (True, 1), (None, 0), ("false", 0), (0.0, 0)]
)
def test_flags_may_be_written_in_any_way(flag, crowd):
    found = detected((1, 1, [10, 10, 5, 5], 0.9), (1, 1, BOX, 0.8))
    expected = evaluate(ground_truth((1, 1, BOX, {"iscrowd": crowd})), found)
    assert evaluate(ground_truth((1, 1, BOX, {"iscrowd": flag})), found).metrics == expected.metrics
    assert (expected.metrics["AP"] == -1) == bool(crowd)


@pytest.mark.parametrize("flag", ["maybe", float("nan"), []])
def test_other_flags_are_named(flag):
    with pytest.raises(ValueError, match=r"^annotations\[0\]\['iscrowd'\] = .* is neither true nor false"):
        coco_metrics(ground_truth((1, 1, BOX, {"iscrowd": flag})), [])


@pytest.mark.parametrize(
    ("content", "problem"), [("", "it is empty"), ('{"images": [', "Expecting"), ("{'a': 1}", "double")]
)
def test_a_broken_file_is_named(tmp_path, content, problem):
    (tmp_path / "broken.json").write_text(content)
    with pytest.raises(ValueError, match=rf"broken\.json is not JSON \(.*{problem}"):
        coco_metrics(tmp_path / "broken.json", [])
    with pytest.raises(ValueError, match=rf"broken\.json is not JSON \(.*{problem}"):
        coco_metrics(ground_truth(), tmp_path / "broken.json")


def test_unknown_curves_are_refused():
    result = evaluate(ground_truth((1, 1, BOX)), [])
    with pytest.raises(ValueError, match=r"category_id = 7 is not one of \[1, 2\]"):
        result.precision_recall(7)
    with pytest.raises(ValueError, match=r"iou = 0\.52 is not one of \[0\.5, "):
        result.precision_recall(1, iou=0.52)


BAD_ROWS = [
    ({"image_id": 9}, r"\['image_id'\] = 9 is not the id of one of the ground truth's images"),
    ({"image_id": [1]}, r"\['image_id'\] = \[1\] is not the id"),
    ({"category_id": 9}, r"\['category_id'\] = 9 is not the id of one of the ground truth's categories"),
    ({"bbox": [0, 0, 1]}, r"\['bbox'\] = \[0, 0, 1\] must be \[x, y, width, height\]"),
    ({"bbox": None}, r"\['bbox'\] = None must be"),
    ({"bbox": [0, 0, -1, 1]}, r"\['bbox'\]\[2\] = -1 must be a finite number >= 0"),
    ({"bbox": [0, 0, 1, -1]}, r"\['bbox'\]\[3\] = -1 must be"),
    ({"bbox": [float("nan"), 0, 1, 1]}, r"\['bbox'\]\[0\] = nan must be"),
    ({"bbox": [0, "left", 1, 1]}, r"\['bbox'\]\[1\] = 'left' is not a number"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ROWS)
def test_bad_rows_are_named(change, message):
    truth, found = ground_truth((1, 1, BOX), (2, 1, BOX)), detected((1, 1, BOX, 0.5), (2, 1, BOX, 0.5))
    bad_truth = truth | {"annotations": [truth["annotations"][0], truth["annotations"][1] | change]}
    with pytest.raises(ValueError, match=r"^annotations\[1\]" + message):
        coco_metrics(bad_truth, found)
    with pytest.raises(ValueError, match=r"^detections\[1\]" + message):
        coco_metrics(truth, [found[0], found[1] | change])


def test_bboxes_whose_lengths_add_up_are_refused():
    found = detected((1, 1, [0, 0, 1], 0.5), (1, 1, [0, 0, 1, 1, 1], 0.5))
    with pytest.raises(ValueError, match=r"^detections\[0\]\['bbox'\]"):
        coco_metrics(ground_truth(), found)


@pytest.mark.parametrize("key", ["image_id", "category_id", "bbox", "score"])
def test_missing_keys_are_named(key):
    truth, found = ground_truth((1, 1, BOX), (2, 1, BOX)), detected((1, 1, BOX, 0.5), (2, 1, BOX, 0.5))
    del found[1][key]
    with pytest.raises(ValueError, match=rf"^detections\[1\] has no '{key}'"):
        coco_metrics(truth, found)
    if key != "score":
        del truth["annotations"][1][key]
        with pytest.raises(ValueError, match=rf"^annotations\[1\] has no '{key}'"):
            coco_metrics(truth, [])


@pytest.mark.parametrize("score", [float("nan"), float("inf"), None, "good"])
def test_bad_scores_are_named(score):
    with pytest.raises(ValueError, match=r"^detections\[1\]\['score'\] = "):
        coco_metrics(ground_truth((1, 1, BOX)), detected((1, 1, BOX, 0.5), (1, 1, BOX, score)))


@pytest.mark.parametrize(
    ("truth", "found", "message"),
    [
        ([], [], "ground_truth must be a dict or a path, not list"),
        ({"images": [], "categories": []}, [], r"ground_truth\['annotations'\] must be a list, not NoneType"),
        (ground_truth(), {}, "detections must be a list or a path, not dict"),
        (ground_truth(), ["box"], r"detections\[0\] = 'box' must be a dict"),
        (ground_truth() | {"images": [{"id": 1}, {}]}, [], r"images\[1\] = {} must be a dict with an 'id'"),
        (ground_truth() | {"categories": [{"id": "a"}]}, [], r"categories\[0\]\['id'\] = 'a' must be a whole number"),
        (ground_truth((1, 1, BOX, {"area": -1})), [], r"annotations\[0\]\['area'\] = -1 must be a finite number >= 0"),
    ],
)
def test_bad_structure_is_named(truth, found, message):
    with pytest.raises(ValueError, match="^" + message):
        coco_metrics(truth, found)
