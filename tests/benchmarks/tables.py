"""`python -m tests.benchmarks.tables`: write the tables of this folder's README.md anew from figures/results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests import mutants, survivors

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "tests" / "benchmarks" / "README.md"
OWN = ("compiled", "reference", "pytorch", "copy of the array")
NAMES = {
    "dense_focal_loss, gamma 2": "dense focal loss and gradient, 100,000 x 80 float32, gamma 2",
    "dense_focal_loss, gamma 1.5": "the same, gamma 1.5",
    "assign_pyramid, 50 boxes": "assignment, 800 x 1344 pixels (201,600 anchors), 50 boxes, forced matches",
    "assign_pyramid, 300 boxes": "the same, 300 boxes",
    "assign_anchors, 50 boxes": "assignment, 201,600 arbitrary anchors, 50 boxes",
    "box_iou, 5000 x 5000": "IoU, 5,000 x 5,000 boxes, float32",
    "nms, 5000 spread evenly": "NMS, 5,000 boxes spread evenly",
    "nms, 20000 spread evenly": "NMS, 20,000 boxes spread evenly",
    "nms, 20000 in 50 clusters": "NMS, 20,000 boxes in 50 clusters",
    "nms, 100000 scattered": "NMS, 100,000 boxes scattered over 10,000 x 10,000 pixels",
    "batched_nms, 5000 in 80 classes": "NMS class by class, 5,000 boxes, 80 classes",
    "batched_nms, 20000 in 80 classes": "NMS class by class, 20,000 boxes, 80 classes",
    "softmax_focal_loss, 100000 x 81": "softmax focal loss and gradient, 100,000 x 81 float32",
    "smooth_l1, 201600 x 4": "smooth L1 and gradient, 201,600 x 4 float32",
    "giou_loss, 100000 pairs": "GIoU loss and gradient, 100,000 pairs of boxes, float32",
    "diou_loss, 100000 pairs": "DIoU, the same",
    "ciou_loss, 100000 pairs": "CIoU, the same",
    "encode_boxes, 201600": "offsets from boxes, 201,600, float32",
    "decode_boxes, 201600": "boxes from offsets, the same",
    "pyramid_anchors, 800 x 1344": "anchors of 800 x 1344 pixels, 201,600",
    "postprocess, 800 x 1344": "post-processing of their outputs, 80 classes",
}


def milliseconds(seconds: float) -> str:
    """A time with two digits, or as whole milliseconds."""
    value = 1e3 * seconds
    return f"{value:,.0f} ms" if value >= 10 else f"{float(f'{value:.2g}'):g} ms"


def times(ratio: float) -> str:
    """How many times faster, with two digits or as a whole number."""
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def peers(medians: dict[str, float]) -> dict[str, float]:
    """The peers of an operation, the fastest first."""
    return dict(sorted((item for item in medians.items() if item[0] not in OWN), key=lambda item: item[1]))


def beside_peers() -> str:
    """Each operation beside its best peer, and how many times faster it is than the others."""
    found = _load("operations")
    rows = []
    for name, medians in found["median_s"].items():
        memory, ours = found["peak_bytes"][name], medians["compiled"]
        (best, seconds), *others = peers(medians).items()
        rows.append([
            NAMES[name], milliseconds(ours), _mebibytes(memory["compiled"]),
            f"{best}, {milliseconds(seconds)}", _mebibytes(memory[best]), times(seconds / ours),
            "; ".join(f"{peer} {times(value / ours)}" for peer, value in others) or "–",
        ])  # fmt: skip
    header = [
        "operation",
        "compiled",
        "memory",
        "the fastest peer",
        "memory",
        "times faster",
        "times faster than others",
    ]
    return _table(header, rows)


def digits() -> str:
    """The largest relative errors of the focal loss."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    lost: dict[str, float] = {}
    for row in _load("accuracy")["rows"]:
        own = found.setdefault(row["implementation"], {})
        key = row["type"], row["what"]
        own[key] = max(own.get(key, 0.0), float("inf") if row["error"] is None else row["error"])
        lost[row["implementation"]] = max(lost.get(row["implementation"], 0.0), row["not_finite"])
    columns = [(kind, what) for kind in ("float64", "float32") for what in ("value", "gradient")]
    order = sorted(found, key=lambda name: (name not in OWN, found[name]["float64", "gradient"], name))

    def cell(error: float) -> str:
        return "infinite" if error == float("inf") else f"{error:.1e}"

    rows = [
        [name, *(cell(found[name][column]) for column in columns), f"{lost[name]:.0%}" if lost[name] else "none"]
        for name in order
    ]
    return _table(["", *(f"{kind} {what}" for kind, what in columns), "not finite, at worst"], rows)


def ulp() -> str:
    """The errors of the dense focal loss over the float32 logits, in units in the last place."""
    found: dict[float, dict[str, Any]] = {}
    for row in _load("ulp")["rows"]:
        found.setdefault(row["gamma"], {})[row["what"]] = row
    rows = []
    for gamma, both in sorted(found.items()):
        every = both["value"]["every"]
        cells = [f"{gamma:g}", "all" if every == 1 else f"1 of {every}"]
        for row in both.values():
            cells += [f"{row['largest']:.2f}", f"{row['at']:.6g}", f"{row['mean']:.2f}"]
        rows.append(cells)
    return _table(["gamma", "logits", *("value: largest", "at", "mean"), *("gradient: largest", "at", "mean")], rows)


def files() -> str:
    """Average precision from two files."""
    found = _load("files")["rows"]
    rows = []
    for name, row in found.items():
        seconds = [row[key] for key in ("processor_s", "again_s", "wall_s")]
        rows.append([
            name, *(f"{value:.2f} s" if value < 10 else f"{value:.0f} s" for value in seconds),
            f"{row['peak_mib']:,.0f} MiB", f"{row['peak_mib'] - row['imported_mib']:,.0f} MiB",
        ])  # fmt: skip
    return _table(["", "first call", "again", "on the clock", "memory", "of it after the import"], rows)


def adversarial() -> str:
    """Time per box of inputs that could defeat the speed, beside that of boxes spread evenly."""
    found = _load("adversarial")["seconds_per_box"]
    kinds = [kind for kind in next(iter(found.values())) if kind != "even"]
    rows = [
        [kind, *(f"{own[kind] / own['even']:.1f}" if kind in own else "–" for own in found.values())] for kind in kinds
    ]
    return _table(["", *map(_code, found)], rows)


def first() -> str:
    """The first calls that cost most, without Numba's cache and with it."""
    found = _load("cold")["CPU seconds"]
    slowest = sorted(found, key=lambda name: -found[name]["no cache"])
    rows = [
        ["`{}`{}{}".format(*name.partition(", ")), f"{found[name]['no cache']:.1f} s", f"{found[name]['cache']:.2f} s"]
        for name in slowest[:8]
    ]
    others = [found[name] for name in slowest[8:]]
    most = [max(one[key] for one in others) for key in ("no cache", "cache")]
    rows.append([f"the other {len(others)}, at most", f"{most[0]:.1f} s", f"{most[1]:.2f} s"])
    return _table(["", "without a cache", "with it"], rows)


def paths() -> str:
    """A training step in the three paths, as a multiple of PyTorch's."""
    found = _load("paths")["settings"]
    rows = []
    for path in ("pytorch", "compiled", "reference"):
        own = [found[name]["paths"][path] for name in ("tiny", "resnet18")]
        rows.append([path, *(cell for one in own for cell in (f"{one['ratio']:.2f}", _mebibytes(one["bytes"])))])
    tiny, resnet = "tiny preset, 8 images of 256 x 256", "ResNet-18, 4 images of 320 x 320"
    return _table(["path", tiny, "memory", resnet, "memory"], rows)


def growth() -> str:
    """How time grows with the work."""
    rows = []
    for name, case in _load("growth")["cases"].items():
        least, most = case["rows"][0], case["rows"][-1]
        rows.append([
            name, f"{least['size']:,} to {most['size']:,} {case['unit']}",
            f"{milliseconds(least['seconds'])} to {milliseconds(most['seconds'])}", f"{case['exponent']:.2f}",
        ])  # fmt: skip
    return _table(["", "from … to", "time", "grows with the work to the power"], rows)


def faults() -> str:
    """The faults that were planted in each path's operations, and how many of them the tests find."""
    found = json.loads(mutants.RESULTS.read_bytes())
    rows = []
    for path in ("reference", "compiled"):
        subjects = [one for one in mutants.SUBJECTS if one.startswith(f"{path}/")]
        possible = sum(len(mutants.named(ROOT / "minidet" / one)) for one in subjects)
        outcomes = [one["outcome"] for key, one in found.items() if key.startswith(f"{path}/")]
        reasons = [reason for key, reason in survivors.REASONS.items() if key.startswith(f"{path}/")]
        hardly = sum(reason in survivors.HARDLY_SEEN for reason in reasons)
        alike, seen = len(reasons) - hardly, len(outcomes) - len(reasons)
        rows.append([
            f"`minidet.{path}`", f"{possible:,}", f"{len(outcomes):,}", f"{seen:,}", str(hardly), str(alike),
            f"{seen / len(outcomes):.1%}", f"{seen / (len(outcomes) - alike):.1%}",
        ])  # fmt: skip
    head = ["", "possible", "planted", "found", "cost time, or show in extremes", "change nothing", "found of all"]
    return _table([*head, "found of those that change something"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "peers": beside_peers, "digits": digits, "ulp": ulp, "files": files, "faults": faults,
    "first": first, "growth": growth, "paths": paths, "adversarial": adversarial,
}  # fmt: skip


def filled(page: str) -> str:
    """The page with its tables as they are measured."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        page = re.sub(
            f"{start}.*?{end}", lambda _, a=start, b=end, t=table: f"{a}\n{t()}\n\n{b}", page, flags=re.DOTALL
        )
    return page


def _mebibytes(size: int | None) -> str:
    return "–" if size is None else f"{size / 2**20:,.0f} MiB"


def _code(name: str) -> str:
    """A function's name, as code, and whatever stands behind it."""
    function, comma, rest = name.partition(", ")
    return f"`{function}`{comma}{rest}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _load(name: str) -> Any:
    return json.loads((ROOT / "figures" / "results" / f"benchmark_{name}.json").read_bytes())


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
