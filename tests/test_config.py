"""The paper's numbers, what a bad configuration is told, and the way into JSON and back."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from minidet.config import (
    AnchorConfig,
    AssignmentConfig,
    LossConfig,
    PostprocessConfig,
    ResizeConfig,
    RetinaNetConfig,
    RunSettings,
    TrainingConfig,
    setting_changes,
)

CONFIGS = (
    AnchorConfig, AssignmentConfig, LossConfig, PostprocessConfig, ResizeConfig, RetinaNetConfig, TrainingConfig,
)  # fmt: skip
FIELDS = [
    pytest.param(config, field, id=f"{config.__name__}.{field.name}") for config in CONFIGS for field in fields(config)
]


def test_the_papers_numbers():
    anchors = AnchorConfig()
    assert anchors.levels == (3, 4, 5, 6, 7)
    assert anchors.sizes == (32, 64, 128, 256, 512)
    assert anchors.scales == (1, 2 ** (1 / 3), 2 ** (2 / 3))
    assert anchors.aspect_ratios == (0.5, 1, 2)
    assert anchors.anchors_per_cell == 9
    assert PostprocessConfig() == PostprocessConfig(0.05, 1000, 0.5, 100)
    assert AssignmentConfig() == AssignmentConfig(0.5, 0.4, False)
    assert LossConfig() == LossConfig("focal", gamma=2.0, alpha=0.25, box_weight=1.0, smooth_l1_beta=1.0)
    training = TrainingConfig()
    assert (training.batch_size, training.iterations, training.learning_rate) == (16, 90_000, 0.01)
    assert (training.momentum, training.weight_decay, training.flip) == (0.9, 1e-4, 0.5)
    assert RetinaNetConfig().prior == 0.01
    assert 1 / (1 + math.exp(-RetinaNetConfig().prior_logit)) == pytest.approx(0.01, rel=1e-14)


def test_resizing():
    """Section 5.1: the shorter side becomes 600; a long image is held back by its longer side."""
    assert ResizeConfig().resized((480, 640)) == (600, 800)
    assert ResizeConfig().resized((640, 480)) == (800, 600)
    assert ResizeConfig().resized((100, 1000)) == (133, 1333)
    assert ResizeConfig().resized((1, 100_000)) == (1, 1333)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnchorConfig(levels=(3, 4)), "sizes has 5 entries for 2 levels"),
        (lambda: AnchorConfig(scales=()), "scales is empty"),
        (lambda: AnchorConfig(scales=(1, 0)), r"scales\[1\] = 0 .*> 0"),
        (lambda: AnchorConfig(levels=(3, 4, 5, 6, 7.5)), r"levels\[4\] = 7.5 must be a whole number"),
        (lambda: PostprocessConfig(score_threshold=2), "score_threshold = 2 .*<= 1"),
        (lambda: PostprocessConfig(max_detections=0), "max_detections = 0 must be >= 1"),
        (lambda: AssignmentConfig(0.4, 0.5), "negative_iou = 0.5 is above positive_iou = 0.4"),
        (lambda: LossConfig(gamma=-1), "gamma = -1"),
        (lambda: LossConfig("hubris"), "kind = 'hubris' must be one of"),
        (lambda: LossConfig("ohem_1_3", ohem_batch_size=3), "ohem_batch_size = 3 has no room"),
        (lambda: LossConfig(ohem_divisor="all"), "ohem_divisor = 'all' must be one of 'assigned', 'batch'"),
        (lambda: RetinaNetConfig(prior=1), "prior = 1 .*< 1"),
        (lambda: LossConfig(alpha="a"), "alpha = 'a' is not a number"),
        (lambda: ResizeConfig(700, 600), "longer_side = 600 must be >= 700"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("settings", "message"), [
    ({"optimizer": "lion"}, "optimizer = 'lion' must be one of 'sgd', 'adamw'"),
    ({"iterations": 0}, "iterations = 0 must be >= 1"),
    ({"iterations": 100}, "warmup = 500 must be in 0 … 100"),
    ({"steps": (0.5, 1.5)}, r"steps\[1\] = 1.5"),
    ({"jitter": (600, 500)}, r"jitter\[1\] = 500 must be in 600 … 1333"),
    ({"jitter": (600, 2000)}, r"jitter\[1\] = 2000"),
    ({"jitter": 600}, r"jitter = 600 must be \(smallest, largest\)"),
    ({"flip": 2}, "flip = 2"),
    ({"gradient_clip": 0}, "gradient_clip = 0"),
    ({"resize": 600}, "resize = 600 must be of class ResizeConfig"),
    ({"loss": "ohem"}, "loss = 'ohem' must be of class LossConfig"),
])  # fmt: skip
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)


def test_the_preset_for_a_cpu():
    assert TrainingConfig.tiny(iterations=200).iterations == 200
    with pytest.raises(ValueError, match="warmup = 100 must be in 0 … 10"):
        TrainingConfig.tiny(iterations=10)


def test_settings_as_json():
    config = TrainingConfig(jitter=(400, 800), resize=ResizeConfig(500, 900))
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match=r"unknown settings: lr, resize\.side"):
        TrainingConfig.from_dict({"lr": 1, "resize": {"side": 3}})


# --- every field of every configuration, whatever comes

JUNK = [
    None, True, False, "no", "", "1", b"1", 0, 1, -1, 3, 0.5, 10**400, math.nan, math.inf, 1j, object(), int, [], (),
    {}, set(), [3], [[3]], ["3"], [None], [True], (1, 2), (2, 1), [0.5, 0.5, 0.5], "abc", {"a": 1}, {3: 4}, range(3),
    Fraction(1, 2), Decimal("0.5"), np.ndarray, torch.tensor(0.5), np.array(3), np.array([0.5]), np.array([[1, 2]]),
    np.float32(0.5), np.int64(2), np.bool_(True),
]  # fmt: skip


def told(make):
    """What is made, or the message of the ValueError that comes instead; any other error is a fault."""
    try:
        return make(), None
    except ValueError as error:
        return None, str(error)


@pytest.mark.parametrize(("config", "field"), FIELDS)
def test_a_field_takes_what_json_can_hold_or_refuses_it_by_name(config, field):
    """What is taken can be hashed and comes back from JSON; the message for the rest names a field."""
    for value in JUNK:
        made, message = told(lambda value=value: config(**{field.name: value}))
        if made is None:
            assert any(other.name in message for other in fields(config)), value
            continue
        kept = getattr(made, field.name)
        assert type(kept) in (bool, int, float, str, tuple, type(None)), value
        assert not isinstance(field.default, (bool, tuple, str)) or type(kept) is type(field.default), value
        assert hash(made) == hash(config.from_dict(json.loads(json.dumps(made.to_dict()))))
        assert config.from_dict(made.to_dict()) == made
    for value in JUNK:
        told(lambda value=value: config.from_dict({field.name: value}))
        told(lambda value=value: config().with_changes({field.name: value}))


NESTED = [
    pytest.param(config, part.name, field, id=f"{config.__name__}.{part.name}.{field.name}")
    for config in (RetinaNetConfig, TrainingConfig)
    for part in fields(config)
    if type(part.default) in CONFIGS
    for field in fields(part.default)
]


@pytest.mark.parametrize(("config", "part", "field"), NESTED)
def test_settings_within_settings_are_refused_by_their_whole_name(config, part, field):
    for value in JUNK:
        for make in (
            lambda value=value: config.from_dict({part: {field.name: value}}),
            lambda value=value: config().with_changes({part: {field.name: value}}),
            lambda value=value: config().with_changes({f"{part}.{field.name}": value}),
        ):
            _, message = told(make)
            assert message is None or message.startswith((f"{part}.", "anchors.levels = ", "jitter[1] = ")), value


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AssignmentConfig(force_match="no"), "^force_match = 'no' must be true or false"),
        (lambda: AssignmentConfig(force_match=1), "^force_match = 1 must be true or false"),
        (lambda: TrainingConfig(compile="no"), "^compile = 'no' must be true or false"),
        (lambda: AnchorConfig(integer_sizes=None), "^integer_sizes = None must be true or false"),
        (
            lambda: RetinaNetConfig().with_changes({"assignment": {"force_match": "no"}}),
            "^assignment.force_match = 'no' must be true or false",
        ),
        (lambda: RetinaNetConfig().with_changes({"anchors": {"levels": 3}}), "^anchors.levels = 3 must be a list or a"),
        (lambda: RetinaNetConfig().with_changes({"anchors": 3}), "^anchors = 3 must be a dict of settings"),
        (lambda: TrainingConfig(steps=0.5), "^steps = 0.5 must be a list or a tuple"),
        (lambda: TrainingConfig(steps="0.5"), "^steps = '0.5' must be a list or a tuple"),
        (lambda: TrainingConfig(steps=[[0.5]]), r"^steps\[0\] = \[0.5\] is not a number"),
        (lambda: AnchorConfig(sizes={32, 64, 128, 256, 512}), "^sizes = {.*} must be a list or a tuple"),
        (lambda: LossConfig(gamma="2"), "^gamma = '2' is not a number"),
        (lambda: TrainingConfig(learning_rate=True), "^learning_rate = True is not a number"),
        (lambda: LossConfig(gamma=10**400), "^gamma = 10+ is not a number"),
        (lambda: TrainingConfig(optimizer=["sgd"]), r"^optimizer = \['sgd'\] must be one of 'sgd', 'adamw'"),
        (lambda: RetinaNetConfig(depth=True), "^depth = True must be one of 18, 34"),
        (lambda: RetinaNetConfig.from_dict({"anchors": None}), "^anchors = None must be a dict of settings"),
        (lambda: RetinaNetConfig.from_dict([]), r"^settings = \[\] must be a dict"),
    ],
)
def test_a_value_of_another_kind_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_numbers_of_numpy_become_pythons():
    config = TrainingConfig(
        batch_size=np.int64(4), learning_rate=np.float64(0.1), compile=np.bool_(False), steps=np.array([0.5])
    )
    assert config == TrainingConfig(batch_size=4, learning_rate=0.1, steps=(0.5,))
    assert json.dumps(config.to_dict()) == json.dumps(
        TrainingConfig(batch_size=4, learning_rate=0.1, steps=(0.5,)).to_dict()
    )


def test_settings_may_be_any_mapping():
    assert TrainingConfig.from_dict(OrderedDict(loss=OrderedDict(gamma=1.0))).loss.gamma == 1


SETTINGS = RunSettings(
    {"source": "shapes", "image_size": [64, 64]}, {"source": "shapes", "seed": 1}, ("disk", "ring"), (7, 3),
    model=RetinaNetConfig.tiny(2, prior=0.1), training=TrainingConfig.tiny(loss=LossConfig("hinge", margin=0.25)),
)  # fmt: skip


def test_a_runs_settings_and_back():
    """Three levels deep (training, its loss; model, its anchors), through JSON, and each with its own class again."""
    stored = json.loads(json.dumps(SETTINGS.to_dict()))
    assert list(stored) == [field.name for field in fields(RunSettings)]
    again = RunSettings.from_dict(stored)
    assert again == SETTINGS
    assert again.to_dict() == stored
    assert again.training.loss == LossConfig("hinge", margin=0.25)
    assert again.model.anchors == RetinaNetConfig.tiny(2).anchors
    with pytest.raises(ValueError, match=r"unknown settings: vals, training\.loss\.marge"):
        RunSettings.from_dict({**stored, "training": {"loss": {"marge": 1}}, "vals": None})


def test_settings_of_a_run_that_says_nothing_of_its_data():
    """What code that trains without the command leaves: classes without names are called by their index."""
    settings = RunSettings.from_dict({"model": RetinaNetConfig.tiny(3).to_dict(), "training": {}})
    assert (settings.data, settings.val, settings.training) == (None, None, TrainingConfig())
    assert settings.categories == (("class 0", "class 1", "class 2"), (1, 2, 3))
    named = RunSettings(classes=("a", "b"), category_ids=(9, 2), model=RetinaNetConfig.tiny(3))
    assert named.categories == (("a", "b", "class 2"), (9, 2, 10))


def test_changes_of_a_runs_settings():
    changes = setting_changes(
        ["training.loss.margin=0.5", "model.anchors.scales=[1, 2]", "data.classes=[\"disk\"]", "val.images=5",
         "training.optimizer=adamw", "data.images=3"]
    )  # fmt: skip
    assert changes == {
        "model": {"anchors.scales": [1, 2]}, "training": {"loss.margin": 0.5, "optimizer": "adamw"},
        "data": {"classes": ["disk"], "images": 3}, "val": {"images": 5},
    }  # fmt: skip
    changed = SETTINGS.changed(changes)
    assert changed.training.loss.margin == 0.5
    assert changed.model.anchors.scales == (1, 2)
    assert changed.data == {"source": "shapes", "image_size": [64, 64], "classes": ["disk"], "images": 3}
    assert changed.val == {"source": "shapes", "seed": 1, "images": 5}
    assert changed.changed(setting_changes([])) == changed
    assert SETTINGS.val == {"source": "shapes", "seed": 1}


@pytest.mark.parametrize(("make", "message"), [
    (lambda: setting_changes(["training.steps"]), "give SECTION.FIELD=VALUE"),
    (lambda: setting_changes(["loss.gamma=2"]), "SECTION being one of model, training, data, val"),
    (lambda: RunSettings().changed(setting_changes(["val.images=3"])), "val.images cannot be set: this run has no val"),
    (
        lambda: SETTINGS.changed(setting_changes(["model.dept=3"])),
        r"^model\.dept is not a setting: did you mean model\.depth\? There are num_classes, depth, ",
    ),
    (
        lambda: SETTINGS.changed(setting_changes(["training.los.kind=hinge"])),
        r"^training\.los\.kind is not a setting: did you mean training\.loss\.kind\? There are iterations, ",
    ),
    (
        lambda: SETTINGS.changed(setting_changes(["training.loss.gama=1"])),
        r"did you mean training\.loss\.gamma\? There are kind, gamma",
    ),
    (lambda: SETTINGS.changed(setting_changes(["model.xyz=1"])), r"^model\.xyz is not a setting: there are num_cl"),
    (lambda: TrainingConfig().with_changes({"iteration": 3}), r"^iteration is not .*: did you mean iterations\? There"),
    (lambda: setting_changes(["trainin.iterations=3"]), r"iterations=3: did you mean training\? Give SECTION.FIELD"),
    (lambda: RunSettings(data="shapes"), "data = 'shapes' must be the arguments of open_dataset"),
    (lambda: RunSettings(val={"images": 3}), "val = .* with a source"),
    (lambda: RunSettings(classes="disk"), "classes = 'disk' must be a list of names"),
    (lambda: RunSettings(classes=("a", "b"), category_ids=(1,)), "must be 2 different numbers"),
    (lambda: RunSettings(classes=("a", "b"), category_ids=(1, 1)), "must be 2 different numbers"),
    (lambda: RunSettings(classes=("a",), category_ids=(1.5,)), r"category_ids\[0\] = 1.5 must be a whole number"),
    (lambda: RunSettings(model=TrainingConfig()), "model = .* must be of class RetinaNetConfig"),
])  # fmt: skip
def test_bad_settings_of_a_run(make, message):
    with pytest.raises(ValueError, match=message):
        make()
