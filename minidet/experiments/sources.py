"""Where a run finds its images and its backbone, of which the place is no part of what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minidet.config import RetinaNetConfig
from minidet.experiments.experiment import Experiment

Architecture = tuple[int, int]
"""Depth and groups of a backbone."""
PHOTOGRAPHS = "BCCD"
"""The folder of photographs of blood cells, as its authors call it, where a command is run."""
PHOTOGRAPHS_FROM = "https://github.com/Shenggan/BCCD_Dataset"
"""Where it is from."""


@dataclass(frozen=True)
class Sources:
    """The places that the experiments at full scale are given when they are run."""

    data: Path
    """COCO as it is distributed: annotations/instances_train2017.json beside train2017/."""
    backbones: tuple[Path, ...]
    """Files of torchvision's ImageNet weights, of different depths."""
    test: Path | None = None
    """COCO's list of test images, of which the detections are written down: image_info_test-dev2017.json."""

    def opened(self, part: Mapping[str, Any]) -> Any:
        """The data set that an experiment means, from where it is.

        Args:
            part: arguments of `minidet.data.open_dataset`, whose source is replaced.
        """
        from minidet.data import open_dataset

        return open_dataset(**{**part, "source": str(self.data)})

    def backbone(self, config: RetinaNetConfig) -> Path:
        """The file of weights that fits a network.

        Args:
            config: has the depth and the groups.

        Raises:
            ValueError: there is none; the message says which is needed and which there are.
        """
        found = {path: architecture(path) for path in self.backbones}
        wanted = config.depth, config.groups
        for path, kind in found.items():
            if kind == wanted:
                return path
        told = ", ".join(f"{path.name}: {_in_words(*kind)}" for path, kind in found.items()) or "none"
        raise ValueError(f"--backbone-weights has no {_in_words(*wanted)} ({told}): give its file too")

    def check(self, experiments: Sequence[Experiment]) -> None:
        """Refuse experiments for which something is missing.

        Args:
            experiments: those that are to be run.

        Raises:
            ValueError: a part of the data, or the backbone of some experiment, is not there.
        """
        from minidet.data import recognise

        layout = recognise(self.data)
        for part in {part["split"] for experiment in experiments for part in (experiment.data, experiment.val)}:
            if layout.split_like(part) is None:
                raise ValueError(f"{self.data} has no {part}: {layout.says}; give the folder that holds annotations/")
        for experiment in experiments:
            self.backbone(experiment.model)


def check_here(experiments: Iterable[Experiment]) -> None:
    """Refuse experiments whose images are not there.

    Args:
        experiments: those that are to be run at small scale.

    Raises:
        ValueError: a folder of images is missing; the message says how to get it.
    """
    for experiment in experiments:
        for part in (experiment.data, experiment.val):
            source = part["source"]
            if source == PHOTOGRAPHS and not Path(source).exists():
                raise ValueError(
                    f"{experiment.name} needs the folder {source} here: git clone {PHOTOGRAPHS_FROM} and "
                    f"ln -s BCCD_Dataset/BCCD {source}, or run this where it is"
                )


def architecture(path: Path) -> Architecture:
    """What the weights in a file are of.

    Args:
        path: of the state dict of a torchvision ResNet or ResNeXt.

    Returns:
        Depth and groups.

    Raises:
        ValueError: they are of no network that is known here.
    """
    from minidet.pytorch.weights import read_weights

    state = read_weights(path)
    blocks = tuple(
        1 + max((int(m[1]) for name in state if (m := re.match(rf"layer{stage}\.(\d+)\.", name))), default=-1)
        for stage in (1, 2, 3, 4)
    )
    convs = 3 if "layer1.0.conv3.weight" in state else 2
    depth = 2 + convs * sum(blocks)  # the stem and the classifier are the other two
    if depth not in (18, 34, 50, 101, 152):
        raise ValueError(f"{path} holds the weights of no ResNet that is known: give torchvision's, 18 to 152 layers")
    middle = state["layer1.0.conv2.weight"]  # (channels, channels per group, 3, 3)
    return depth, middle.shape[0] // middle.shape[1]


def _in_words(depth: int, groups: int) -> str:
    """The usual name of a backbone."""
    return f"ResNet-{depth}" if groups == 1 else f"ResNeXt-{depth} of {groups} groups"
