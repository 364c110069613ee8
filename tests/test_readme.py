"""The measured numbers of README.md and of the benchmarks' page are those of the files in figures/results."""

from __future__ import annotations

import json
from pathlib import Path

from minidet.experiments import claims, evidence, rows, verdicts
from minidet.experiments.comparison import between
from minidet.experiments.imbalance import inspected
from minidet.experiments.results import load_results
from tests.benchmarks import tables

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "tests" / "benchmarks" / "README.md").read_text(encoding="utf-8")
MEDIANS = json.loads((ROOT / "figures" / "results" / "benchmark_operations.json").read_bytes())["median_s"]


def test_the_tables_that_are_written_from_results_are_up_to_date():
    """`python -m tests.benchmarks.tables` writes them."""
    assert tables.filled(PAGE) == PAGE
    assert PAGE.count("<!-- end of ") == len(tables.TABLES)


def test_the_page_says_how_a_training_step_compares_with_torchvisions():
    found = json.loads((ROOT / "figures" / "results" / "benchmark_training.json").read_bytes())
    step = found["seconds"]["minidet, float32"]["step"] / found["seconds"]["torchvision, float32"]["step"]
    after = found["postprocessing"]["minidet"] / found["postprocessing"]["torchvision"]
    words = " ".join(PAGE.split())
    assert f"takes {step:.2f} of the time of torchvision's" in words
    assert f"takes {after:.2f} of torchvision's" in words


def test_in_one_row_alone_a_peer_is_ahead():
    ahead = {name for name, times in MEDIANS.items() if min(tables.peers(times).values()) < times["compiled"]}
    assert ahead == {"smooth_l1, 201600 x 4"}


README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def test_the_readme_says_what_was_measured():
    for name, rounded in (
        ("dense_focal_loss, gamma 2", "{:.0f} ms"), ("assign_pyramid, 50 boxes", "{:.1f} ms"),
        ("nms, 20000 spread evenly", "{:.0f} ms"),
    ):  # fmt: skip
        assert rounded.format(1e3 * MEDIANS[name]["compiled"]) in README
        assert f"({tables.milliseconds(MEDIANS[name]['torchvision'])})" in README.replace("(torchvision: ", "(")


def test_the_readme_names_the_best_peers():
    for name, words in (
        ("dense_focal_loss, gamma 2", "for the dense focal loss"), ("box_iou, 5000 x 5000", "for IoU"),
        ("nms, 5000 spread evenly", "for the NMS of 5,000 boxes"),
    ):  # fmt: skip
        best, seconds = next(iter(tables.peers(MEDIANS[name]).items()))
        assert f"{tables.times(seconds / MEDIANS[name]['compiled'])} times as fast as {best} {words}" in README


def test_the_readme_says_how_the_detectors_without_pytorch_learnt():
    measured = json.loads((ROOT / "figures" / "results" / "benchmark_detectors.json").read_bytes())["detectors"]
    for path, words in (
        ("reference", "an AP50 of {:.2f} on 200 unseen images in {} steps, which take {:.1f} minutes of one core"),
        ("compiled", "Numba to {:.2f} in {} steps and {:.1f} minutes"),
    ):
        found = measured[path]
        assert words.format(found["AP50"], found["steps"], found["CPU seconds"] / 60) in README


def test_the_readme_says_when_the_focal_loss_paid():
    results = load_results()
    gain = {}
    for objects in (1, 16):
        ap = {loss: results.score(rows.crowd(objects, loss)).mean for loss in ("focal", "ce", "balanced")}
        gain[objects] = ap["focal"] - max(ap["ce"], ap["balanced"])
    readme = " ".join(README.split())
    assert f"it is {gain[1]:.0f} points of AP ahead of the better of two cross entropies" in readme
    assert f"and {-gain[16]:.0f} points behind with sixteen" in readme
    around = {}
    for side in rows.BACKGROUND_SIDES:
        ap = {loss: results.score(rows.background(side, loss)).mean for loss in ("focal", "ce", "balanced")}
        around[side] = ap["focal"] - max(ap["ce"], ap["balanced"])
    assert min(around.values()) > 0  # "ahead at all five sizes"
    first, most, last = (
        (around[side], inspected(rows.background(side, "focal")).imbalance)
        for side in (min(around), max(around, key=around.get), max(around))
    )
    assert "by {:.0f} points at {:,.0f} background anchors per positive one, ".format(*first) in readme
    assert "{:.0f} at {:,.0f} and {:.0f} at {:,.0f}".format(*most, *last) in readme
    names = [rows.background(side, loss) for side in rows.BACKGROUND_SIDES for loss in ("focal", "ohem")]
    seeds = {len(results.of(name)) for name in names}
    assert seeds == {2, 3}  # "two to three runs each"
    few, many = (between(results, *(rows.background(side, loss) for loss in ("ohem", "focal"))) for side in (96, 320))
    assert abs(few.gain) < 0.5  # "level"
    assert many.gain > many.half  # "ahead"
    assert f"level with it at {first[1]:,.0f} and {many.gain:.0f} points ahead at {last[1]:,.0f}" in readme
    crowd = {loss: results.score(rows.distractors(30, 40, loss)).values for loss in ("ohem", "focal")}
    assert max(crowd["ohem"]) < 1 < min(crowd["focal"])  # "learns nothing, and the focal loss does"
    late = rows.PLATEAU_OHEM[-1], rows.PLATEAU_TUNED, rows.mining("suppresses=predictions")
    best, other, predicted = map(rows.plateau, late)
    apart, less = between(results, best, other), between(results, predicted, best)
    assert abs(apart.gain) < apart.half  # "cannot be told apart"
    assert -less.gain > less.half
    assert f"its AP is {-less.gain:.1f} points lower in the same setting" in readme
    ahead = between(results, best, rows.plateau(rows.FL))
    assert f"is {ahead.gain:.1f} points ahead of the focal loss with the paper's values" in readme
    assert ahead.gain > ahead.half
    assert verdicts.best(results, evidence.OHEM) == late[0]  # "the best of nine"
    loss = results.known[other].training.loss
    assert (loss.gamma, loss.alpha) == (1.0, 0.5)
    [judged] = [verdict for claim, verdict in claims.judged(results) if claim.tables == ("background",)]
    assert judged.kind == verdicts.UNDECIDED


DEVICE = ROOT / "figures" / "results" / "device"


def test_the_page_says_what_was_measured_on_a_gpu():
    network = json.loads((DEVICE / "h200.json").read_bytes())["c"]
    for task, memory in (("training", "GiB"), ("inference", "inference GiB")):
        for precision, name in (("bfloat16", "bfloat16"), ("float32", "float32 (products in TF32)")):
            cells = [f"{task}, {name}"]
            for whose in ("minidet", "torchvision"):
                found = network[f"{whose}, {precision}"]
                cells.append(f"{found[task]:.0f}, {found[memory]:.1f} GiB")
            cells.append(f"{network[f'minidet / torchvision, {precision}'][task]:.2f}")
            assert f"| {' | '.join(cells)} |" in PAGE
    words = " ".join(PAGE.split())
    assert f"reaches {network['minidet, bfloat16, compiled']['training']:.0f} images per second" in words
    assert f"make {network['loading']['images per second']:.0f} of them per second" in words
    earlier = json.loads((DEVICE / "h200_earlier.json").read_bytes())["c"]
    pair = [earlier[f"{whose}, float32"]["training"] for whose in ("minidet", "torchvision")]
    assert "reached {:.0f} against {:.0f} images per second, {:.2f} times".format(*pair, pair[0] / pair[1]) in words
    ours, theirs = (network[f"{whose}, bfloat16"] for whose in ("minidet", "torchvision"))
    ratio = ours["training"] / theirs["training"]
    told = f"{ours['training']:.0f} images of 800 x 800 pixels per second in bfloat16, {ratio:.1f}"
    assert f"{told} times as many as torchvision's, in {ours['GiB']:.0f} GiB instead of {theirs['GiB']:.0f}" in README


def test_the_page_says_how_long_the_operations_took_on_a_gpu():
    results = json.loads((DEVICE / "h200.json").read_bytes())
    passed = sum(found["passed"] for found in results["a"].values() if isinstance(found, dict))
    assert f"All {passed} tests of the operations on CUDA passed" in " ".join(PAGE.split())
    assert results["b"]["float32"]["difference"] < 2e-7
    assert results["b"]["resumed"]["difference"] == 0
    times = results["d"]
    loss = [
        times[f"{name}'s loss{end}"]
        for name, end in (("minidet", ""), ("torchvision", ""), ("torchvision", ", compiled"))
    ]
    for row, key in (("in a row", "in a row"), ("one call by itself, its arguments checked", "seconds")):
        ours, theirs, compiled = (tables.milliseconds(found[key]) for found in loss)
        assert f"{row} | {ours} | {theirs}; torch.compile {compiled} |" in PAGE
    for row, name in (
        ("NMS of 20,000 boxes", "nms"), ("201,600 anchors", "assignment"),
        ("post-processing of 16 images", "post-processing"),
    ):  # fmt: skip
        theirs = times[f"torchvision's {name}"]
        theirs = theirs["seconds"] if isinstance(theirs, dict) else theirs
        ours = times[f"minidet's {name}"]
        assert f"{row} | {tables.milliseconds(ours)} | {tables.milliseconds(theirs)} |" in PAGE
    words = " ".join(PAGE.split())
    assert f"runs at {loss[0]['its share of copies in a row']:.0%}".replace("%", " %") in words
    blocks = json.loads((DEVICE / "h200_blocks.json").read_bytes())
    best = min(row["milliseconds"] for row in blocks["kernel"] if row["gamma"] == 2)
    assert (
        f"the kernel alone takes {best:.2f} ms, {blocks['copy, milliseconds'] / best:.0%}".replace("%", " %") in words
    )


def test_the_readme_says_how_good_the_detector_of_cells_is():
    measured = json.loads((ROOT / "figures" / "results" / "cells" / "evaluation.json").read_bytes())
    size = (ROOT / "minidet" / "detectors" / "cells.npz").stat().st_size
    readme = " ".join(README.split())
    assert f"the small detector that comes with the package ({size / 1e6:.1f} MB) finds" in readme
    assert f"Its AP50 on {measured['images']} such photographs is {measured['metrics']['AP50']:.2f};" in readme
