"""What is advised at the end of a training."""

from __future__ import annotations

import pytest

from minidet.cli.advice import advice, table
from minidet.config import RetinaNetConfig, RunSettings, TrainingConfig
from minidet.data import open_dataset
from tests.datasets import write_voc


def curve(*values, losses=()):
    metrics = [{"iteration": i, "classification": value} for i, value in enumerate(losses, start=1)]
    return metrics + [{"iteration": 10 * i, "AP": value} for i, value in enumerate(values, start=1)]


def on_shapes(metrics, measured=None, **changes):
    training, shapes = TrainingConfig.tiny(**changes), {"source": "shapes"}
    settings = RunSettings(shapes, shapes, model=RetinaNetConfig.tiny(6), training=training)
    return [row.seen + " | " + row.remedy for row in advice("RUN", metrics, open_dataset("shapes"), settings, measured)]


@pytest.mark.parametrize(("metrics", "words"), [
    (curve(0.1, 0.2, 0.5), ["still rising", "train --out RUN --resume --steps 60"]),
    (curve(0.1, 0.5, 0.4), ["better after 20 of 30 steps", "--best"]),
    (curve(losses=[1.0] * 12), ["hardly fallen", "learning_rate by a factor of 3"]),
    (curve(0.5, 0.5, 0.5, losses=[1.0] * 5 + [0.3] * 7), []),
    (curve(0.0, 0.02), ["20 steps: so few teach a detector next to nothing", "--resume --steps 200"]),
    ([], []),
    (curve(0.3), []),
])  # fmt: skip
def test_curves(metrics, words):
    told = on_shapes(metrics)
    assert len(told) == bool(words)
    assert all(word in told[0] for word in words)


@pytest.mark.parametrize("metrics", [curve(0.1, 0.2, 0.5), curve(0.1, 0.5, 0.4), curve(0.5, 0.5), []])
@pytest.mark.parametrize(
    ("images", "whose"), [(1, "1 image to evaluate on: its"), (9, "9 images to evaluate on: their")]
)
def test_no_trend_is_read_from_a_few_images(images, whose, metrics):
    (told,) = on_shapes(metrics, images)
    assert told == f"{whose} AP says next to nothing | evaluate on 10 at the very least: --val-images 200"
    assert on_shapes(metrics, 10) == on_shapes(metrics)


def test_few_images_to_evaluate_on_are_told_first():
    told = on_shapes(curve(0.1, 0.2, 0.5, losses=[1.0] * 12), 1)
    assert [row.partition(" ")[0] for row in told] == ["1", "the"]
    assert "hardly fallen" in told[1]  # what the losses of training say holds


def test_a_run_for_minutes_goes_on_for_minutes():
    (told,) = on_shapes(curve(0.1, 0.2, 0.5), minutes=2.5)
    assert told.endswith("train longer: minidet train --out RUN --resume --minutes 5")


def test_data(tmp_path):
    for i in range(4):
        write_voc(tmp_path, f"a{i}", ("cat", (1, 1, 30, 25)), *([("dog", (3, 3, 5, 5))] if i == 0 else []))
    dataset = open_dataset(tmp_path)
    settings = RunSettings({"source": str(tmp_path)}, model=RetinaNetConfig.tiny(2), training=TrainingConfig.tiny())
    first, few, rare, *rest = advice("RUN", [], dataset, settings, 3)
    assert "hold out more (--val-fraction)" in first.remedy
    assert [few, rare, *rest] == advice("RUN", [], dataset, settings)
    assert few.seen == "4 images to learn from: few"
    assert rare.seen == "classes of few objects: dog (1), cat (4)"
    assert rest == []
    paper = RunSettings({"source": str(tmp_path)}, model=RetinaNetConfig(2))  # its smallest anchors have 32 pixels
    smaller = TrainingConfig(resize=TrainingConfig().resize.__class__(30, 40))
    *_, last = advice("RUN", [], dataset, RunSettings(paper.data, model=paper.model, training=smaller))
    assert "of the boxes get no anchor" in last.seen
    assert "--anchors suggested" in last.remedy
    assert "what to do next" in table([last])
    assert table([]) == ""
