"""The measured numbers of README.md and of the benchmarks' page are those of the files in figures/results."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from minidet.experiments import rows
from minidet.experiments.results import load_results

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "tests" / "benchmarks" / "README.md").read_text(encoding="utf-8")
MEDIANS = json.loads((ROOT / "figures" / "results" / "benchmark_operations.json").read_bytes())["median_s"]
TABLE = re.search(r"\| operation \|.*?\n\n", PAGE, re.DOTALL)
ROWS = [line.strip("| ").split(" | ") for line in TABLE.group().splitlines()[2:] if line] if TABLE else []


def milliseconds(seconds: float) -> str:
    """A time with two digits, or as whole milliseconds."""
    value = 1e3 * seconds
    return f"{value:,.0f} ms" if value >= 10 else f"{float(f'{value:.2g}'):g} ms"


@pytest.mark.parametrize(("row", "times"), list(zip(ROWS, MEDIANS.values(), strict=True)), ids=list(MEDIANS))
def test_a_row_of_the_table_says_what_was_measured(row, times):
    _, ours, theirs, ratios = row
    peers = [times["torchvision"]] + [times[name] for name in times if "torch.compile" in name]
    assert ours == milliseconds(times["compiled"])
    assert re.findall(r"[\d.,]+ ms", theirs) == [milliseconds(seconds) for seconds in peers]
    for told, seconds in zip(ratios.split("; "), peers, strict=True):
        decimals = len(told.partition(".")[2])
        assert told == f"{seconds / times['compiled']:,.{decimals}f}"


def test_the_table_of_the_paths_says_what_was_measured():
    settings = json.loads((ROOT / "figures" / "results" / "benchmark_paths.json").read_bytes())["settings"]
    for path in ("pytorch", "compiled", "reference"):
        cells = []
        for name in ("tiny", "resnet18"):
            found = settings[name]["paths"][path]
            cells += [f"{found['ratio']:.2f}" if path != "pytorch" else "1", f"{found['bytes'] / 2**20:.0f} MiB"]
        assert f"| {path} | {' | '.join(cells)} |" in PAGE


def test_the_page_says_what_the_first_step_of_the_network_costs():
    first = json.loads((ROOT / "figures" / "results" / "benchmark_cold.json").read_bytes())["CPU seconds"]["train_step"]
    words = "compiles for {:.0f} seconds of a processor; from the cache it takes {:.1f}"
    assert words.format(first["no cache"], first["cache"]) in " ".join(PAGE.split())


README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def test_the_readme_says_what_was_measured():
    for name, rounded in (
        ("dense_focal_loss, gamma 2", "{:.0f} ms"), ("assign_pyramid, 50 boxes", "{:.1f} ms"),
        ("nms, 20000 spread evenly", "{:.0f} ms"),
    ):  # fmt: skip
        assert rounded.format(1e3 * MEDIANS[name]["compiled"]) in README
        assert f"({milliseconds(MEDIANS[name]['torchvision'])})" in README.replace("(torchvision: ", "(")


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
    assert f"it is {gain[1]:.0f} points of AP ahead of the better cross entropy with one object per image" in README
    assert f"and {-gain[16]:.0f} points behind with sixteen" in README
