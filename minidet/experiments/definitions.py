"""The experiments: what is trained, by name. Every one is BASE with a few settings changed.

The paper's question at small scale: does the same thing happen? A name begins with the table or the section that it
belongs to, ``1b/gamma=2``; several names may mean one configuration (FL with gamma = 2 is a row of five tables), which
is trained once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from minidet.config import AnchorConfig, LossConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.experiments import published as paper


@dataclass(frozen=True)
class Experiment:
    """A configuration with a name; `seed` of a run is no part of it."""

    name: str
    model: RetinaNetConfig
    training: TrainingConfig
    data: Mapping[str, Any]
    """What is trained on, as `minidet.data.open_dataset` takes it."""
    val: Mapping[str, Any]
    """What the detector is measured on at the end, likewise."""
    backbone: str | None = None
    """The experiment whose trained backbone, of seed 0, it starts from."""

    def changed(self, name: str, **changes: Any) -> Experiment:
        """Under another name with some settings changed: ``model``, ``training``, ``data``, ``val`` and ``both``
        (data and val) each take a dict, the former two of dotted names as `Settings.with_changes` reads them."""
        both = changes.pop("both", {})
        return replace(
            self,
            name=name,
            model=self.model.with_changes(changes.pop("model", {})),
            training=self.training.with_changes(changes.pop("training", {})),
            data={**self.data, **both, **changes.pop("data", {})},
            val={**self.val, **both, **changes.pop("val", {})},
            **changes,
        )

    def settings(self) -> dict[str, Any]:
        """Everything that the result depends on but the seed, as JSON types; the same for two names of one thing."""
        training = self.training.to_dict()
        for name in ("seed", "workers", "log_every", "checkpoint_every", "evaluate_every", "tensorboard", "winograd"):
            del training[name]
        content = {
            "model": self.model.to_dict(), "training": training, "data": self.data, "val": self.val,
            "backbone": self.backbone,
        }  # fmt: skip
        plain: dict[str, Any] = json.loads(json.dumps(content))
        return plain

    @property
    def identity(self) -> str:
        """12 hexadecimal digits of a hash of the settings, by which a result is found again."""
        text = json.dumps(_numbers(self.settings()), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


CROWDED: dict[str, Any] = {"source": "shapes", "seed": 7, "image_size": [160, 160], "objects": [6, 14],
                           "distractors": [3, 8], "max_size": 96}  # fmt: skip
"""What the backbone learns from: all six classes, many objects an image."""
FEW: dict[str, Any] = {"source": "shapes", "image_size": [160, 160], "objects": [1, 1], "distractors": [6, 12],
                       "max_size": 48, "classes": ["disk", "square", "triangle"]}  # fmt: skip
"""One object of three classes among distractors: about 800 anchors of background to a positive one."""

_ANCHORS = AnchorConfig(levels=(3, 4, 5), sizes=(16, 32, 64))
BACKBONE = Experiment(
    "backbone",
    RetinaNetConfig.tiny(6, norm="batch", anchors=_ANCHORS),
    TrainingConfig.tiny(
        iterations=1200, resize=ResizeConfig(160, 160), precision="auto", checkpoint_every=200, workers=0
    ),
    {**CROWDED, "images": 9600},
    {**CROWDED, "images": 200, "seed": 8},
)
"""Where the others start from, as the paper's start from ImageNet: another detector's backbone, seed 0."""
BASE = Experiment(
    "base",
    RetinaNetConfig.tiny(3, norm="frozen", fpn_channels=32, head_channels=32, anchors=_ANCHORS),
    TrainingConfig(
        iterations=600, batch_size=8, learning_rate=0.02, warmup=60, freeze_at=2, loss=LossConfig(smooth_l1_beta=0.11),
        resize=ResizeConfig(160, 160), precision="auto", channels_last=True, checkpoint_every=200,
    ),
    {**FEW, "images": 2000, "seed": 0},
    {**FEW, "images": 500, "seed": 1},
    backbone="backbone",
)  # fmt: skip
"""The small setting: what every experiment changes."""

ALPHAS = tuple(paper.TABLE_1A)
"""1a: cross entropy of the positives weighed by alpha, of the negatives by 1 - alpha."""
GAMMAS = tuple(paper.TABLE_1B)
"""1b: (gamma, alpha)."""
MORE_ALPHAS = (0.5, 0.75)
"""Of gamma = 2, beside the best one (section 5.1)."""
ANCHORS = tuple(paper.TABLE_1C)
"""1c: (scales, aspect ratios)."""
RATIOS = {1: (1.0,), 3: (0.5, 1.0, 2.0)}
OHEM_BATCH = {128: 16, 256: 32, 512: 64}
"""1d: the paper's batch size, of about 100,000 anchors an image, and ours, of `anchors_an_image()`."""
STAR_GAMMAS, STAR_BETAS = (1.0, 2.0, 4.0), (-1.0, 0.0, 1.0, 2.0)
"""Figure 7: the grid of FL*, the settings of Table 3 among them."""
PRIORS = (0.5, 0.1, 0.01, 0.001)
"""pi of the initialisation (section 5.1), for CE and, but for .5, for FL."""
ADAMW: dict[str, Any] = {"optimizer": "adamw", "learning_rate": 1e-3, "gradient_clip": 10.0}
"""Another optimizer, for CE without the prior."""
HINGE_MARGINS = (0.5, 0.9)
"""p_t above which the hinge loss is 0."""
OBJECTS = (16, 8, 4, 2, 1)
"""Objects an image, from many to one: the imbalance."""
DEPTHS, SCALES = (18,), (128, 160, 192)
"""1e at small scale: layers of the backbone, and pixels of the image's sides."""
LONGER = 3
"""Figure 4 and Table 2: how many times as long as BASE the detector is trained that stands for a converged one."""
RATES = (0.01, 0.04)
"""Half of BASE's learning rate and twice: would another one have turned a comparison around?"""

FL = "1b/gamma=2"
"""The paper's choice, gamma = 2 and alpha = .25, which most tables hold."""

CONVERGED = "4/converged"
"""FL, trained for longer."""


def anchors_an_image() -> int:
    """Of BASE, over its images as they are drawn."""
    config, (height, width) = BASE.model.anchors, BASE.data["image_size"]
    return config.anchors_per_cell * sum(grid.rows * grid.columns for grid in config.grids((height, width)))


def ce(alpha: float) -> str:
    """The name of cross entropy with this alpha (Table 1a)."""
    return f"1a/alpha={alpha:g}"


def fl(gamma: float) -> str:
    """The name of the focal loss with the alpha of Table 1b."""
    return f"1b/gamma={gamma:g}"


def anchors(scales: int, ratios: int) -> str:
    """The name of a row of Table 1c."""
    return f"1c/scales={scales},ratios={ratios}"


def ohem(loss: str, batch: int, threshold: float) -> str:
    """The name of a row of Table 1d, ``loss`` and ``batch`` being the paper's."""
    return f"1d/{loss.replace('_', '-')}-{OHEM_BATCH[batch]}-{threshold:g}"


def star(gamma: float, beta: float) -> str:
    """The name of FL* with these parameters, of Table 3 or, for the rest of the grid, of Figure 7."""
    return f"{3 if (gamma, beta) in paper.FIGURE5_STARS else 7}/gamma={gamma:g},beta={beta:g}"


def prior(loss: str, pi: float) -> str:
    """The name of "ce", "ce-adamw" or "fl" with this pi."""
    return f"pi/{loss}-{pi:g}"


def crowd(objects: int, loss: str) -> str:
    """The name of "focal", "ce" or "balanced" with so many objects an image."""
    return f"imbalance/objects={objects},loss={loss}"


def rate(name: str, learning_rate: float) -> str:
    """The name of an experiment at another learning rate."""
    return f"lr/{name},{learning_rate:g}"


def longer(name: str) -> str:
    """The name of an experiment with LONGER times as many steps."""
    return CONVERGED if name == FL else f"longer/{name}"


RIVALS = (FL, ce(0.75), ohem("ohem", 256, 0.5), star(2, 1))
"""FL and the best of what it is compared with: tried at other learning rates, and for longer."""


def experiments(base: Experiment | None = None) -> dict[str, Experiment]:
    """Every experiment by its name, in the order of the paper; ``base``: BASE unless given."""
    base = base or BASE
    found = {} if base.backbone is None else {BACKBONE.name: BACKBONE}

    def add(name: str, **changes: Any) -> None:
        found[name] = base.changed(name, **changes)

    for alpha in ALPHAS:
        add(ce(alpha), training={"loss.gamma": 0.0, "loss.alpha": alpha})
    for gamma, alpha in GAMMAS:
        add(fl(gamma), training={"loss.gamma": gamma, "loss.alpha": alpha})
    for alpha in MORE_ALPHAS:
        add(f"{FL},alpha={alpha:g}", training={"loss.gamma": 2.0, "loss.alpha": alpha})
    for scales, ratios in ANCHORS:
        sizes = [2 ** (k / scales) for k in range(scales)]
        add(anchors(scales, ratios), model={"anchors.scales": sizes, "anchors.aspect_ratios": list(RATIOS[ratios])})
    for loss, batch, threshold in paper.TABLE_1D:
        sampling = {"loss.kind": loss, "loss.ohem_batch_size": OHEM_BATCH[batch], "loss.ohem_iou_threshold": threshold}
        add(ohem(loss, batch, threshold), training=sampling)
    for gamma in STAR_GAMMAS:
        for beta in STAR_BETAS:
            if (gamma, beta) == (1.0, 0.0):  # it is cross entropy
                add(star(gamma, beta), training={"loss.gamma": 0.0, "loss.alpha": 0.25})
            else:
                ours = {"loss.kind": "focal_star", "loss.gamma": gamma, "loss.alpha": 0.25, "loss.beta": beta}
                add(star(gamma, beta), training=ours)
    for pi in PRIORS:
        add(prior("ce", pi), model={"prior": pi}, training={"loss.kind": "cross_entropy"})
    for pi in (0.5, 0.01):
        add(prior("ce-adamw", pi), model={"prior": pi}, training={"loss.kind": "cross_entropy", **ADAMW})
    for pi in PRIORS:
        add(prior("fl", pi), model={"prior": pi})
    for margin in HINGE_MARGINS:
        add(f"hinge/margin={margin:g}", training={"loss.kind": "hinge", "loss.margin": margin})
    for objects in OBJECTS:
        crowded = {"objects": [objects, objects]}
        add(crowd(objects, "focal"), both=crowded)
        add(crowd(objects, "ce"), both=crowded, training={"loss.kind": "cross_entropy"})
        add(crowd(objects, "balanced"), both=crowded, training={"loss.gamma": 0.0, "loss.alpha": 0.75})
    for depth in DEPTHS:
        for side in SCALES:
            size = {"resize.shorter_side": side, "resize.longer_side": 2 * side}
            add(f"1e/depth={depth},scale={side}", model={"depth": depth}, training=size)
    add(CONVERGED, training={"iterations": LONGER * base.training.iterations})
    for name in RIVALS[1:]:
        found[longer(name)] = found[name].changed(
            longer(name), training={"iterations": LONGER * base.training.iterations}
        )
    for name in RIVALS:
        for learning_rate in RATES:
            changed = rate(name, learning_rate)
            found[changed] = found[name].changed(changed, training={"learning_rate": learning_rate})
    return found


FIRST = {
    BACKBONE.name, *map(ce, (0.1, 0.5, 0.75, 0.999)), *map(fl, (0.0, 0.5, 1.0, 2.0, 5.0)),
    ohem("ohem", 128, 0.5), ohem("ohem", 256, 0.5), ohem("ohem_1_3", 128, 0.5), star(2, 1), star(4, 0),
    prior("ce", 0.5), prior("ce", 0.01), "hinge/margin=0.5", anchors(1, 1), anchors(3, 3),
    *(crowd(objects, loss) for objects in (16, 4, 1) for loss in ("focal", "ce", "balanced")),
}  # fmt: skip
"""The rows that carry the paper's argument: all their seeds are run before anything else."""
LAST = ("1e", "4", "lr", "longer")
"""Tables whose rows come after all others."""


ALSO = {
    "1d": [FL], "1e-small": ["1e/*"], "2": [CONVERGED], "3": [ce(0.75), FL], "7": ["3/*", FL],
    "longer": [CONVERGED],
}  # fmt: skip
"""Rows of a table that are named after another one."""


def priority(name: str) -> int:
    """0, 1 or 2: what is run first."""
    return 0 if name in FIRST else 2 if table_of(name) in LAST else 1


def table_of(name: str) -> str:
    """The table, or the group, that a name begins with."""
    return name.partition("/")[0]


def canonical(known: Mapping[str, Experiment]) -> dict[str, str]:
    """For every name the first one that means the same configuration, under which it is run."""
    first: dict[str, str] = {}
    return {name: first.setdefault(experiment.identity, name) for name, experiment in known.items()}


def select(known: Mapping[str, Experiment], words: Iterable[str]) -> list[str]:
    """The names that the words mean: names, patterns (``1d/ohem-*``) and tables (``1b``); no word: all of them.

    Raises ValueError for a word that means none.
    """
    words = list(words) or ["*"]
    chosen: list[str] = []
    for word in words:
        patterns = [word, *ALSO.get(word, [])]
        matching = [n for n in known if table_of(n) == word or any(fnmatchcase(n, pattern) for pattern in patterns)]
        if not matching:
            tables = ", ".join(dict.fromkeys(map(table_of, known)))
            raise ValueError(f"{word} is no experiment: give a table ({tables}), a name or a pattern; see list")
        chosen += matching
    return list(dict.fromkeys(chosen))


def elsewhere(
    known: Mapping[str, Experiment], data: Mapping[str, Any], val: Mapping[str, Any], classes: int
) -> dict[str, Experiment]:
    """The experiments on another data set, of so many classes; without those that are about shapes."""
    return {
        name: replace(e, data=data, val=val, model=replace(e.model, num_classes=classes))
        for name, e in known.items()
        if table_of(name) != "imbalance"
    }


def _numbers(value: Any) -> Any:
    """1 and 1.0 are the same setting."""
    if isinstance(value, dict):
        return {key: _numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
