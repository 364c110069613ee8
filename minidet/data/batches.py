"""From samples to the batches of a training run: resizing, flips, scale jitter, padding (sections 4.1 and 5).

Whatever is random is drawn from a generator of its own, seeded with the run's seed and the place in the run. A batch is
so a function of (settings, step): the same for any number of workers, and a run that is resumed need not repeat the
steps before.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minidet import checks
from minidet.compiled import assign_pyramid
from minidet.config import ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.data import Dataset, DatasetError, Sample
from minidet.pytorch.inference import batch_images, resize_image, scale_boxes
from minidet.pytorch.training import Batch, naming
from minidet.structures import GroundTruth


class TrainingData:
    """The batches of a training run over a data set, by number.

    >>> data = TrainingData(Shapes(images=1000), model.config, TrainingConfig(seed=0))
    >>> data.batch(7).images                     # (16, 3, H, W), the same whenever and wherever it is asked for

    Every image is seen once an epoch, in an order of that epoch's own. Epochs follow one another without a seam, so all
    batches are full and one may hold images of two epochs. Raises ValueError for an empty data set and for one with
    more classes than the model.
    """

    def __init__(self, dataset: Dataset, model: RetinaNetConfig, training: TrainingConfig) -> None:
        if not len(dataset):
            raise ValueError(f"{dataset.name} holds no images: nothing can be learnt from it")
        if len(dataset.classes) > model.num_classes:
            raise ValueError(
                f"num_classes = {model.num_classes} is too few for {dataset.name}, which has {len(dataset.classes)}"
            )
        self.dataset, self.model, self.training = dataset, model, training

    def batch(self, iteration: int, rank: int = 0, processes: int = 1) -> Batch:
        """Step ``iteration``'s batch, or the part of it that process ``rank`` (from 0) of so many gets.

        All parts are padded to the size of the whole. Raises ValueError when the batch cannot be shared evenly, and,
        naming the iteration, when an image cannot be read or an annotation is wrong.
        """
        size = self.training.batch_size
        if size % processes or not 0 <= rank < processes:
            raise ValueError(f"batch_size = {size} cannot be shared evenly by process {rank} of {processes}")
        begin, share = iteration * size, size // processes
        places = range(begin, begin + size)
        own = places[rank * share : (rank + 1) * share]
        try:
            samples = [self.sample(place) for place in own]
        except DatasetError as error:
            raise ValueError(f"iteration {iteration}: {error}") from error
        elsewhere = [self._size(place) for place in places if place not in own]
        images = batch_images([sample.image for sample in samples], self.model, elsewhere)
        truth = [GroundTruth(sample.boxes, sample.classes, sample.ignore) for sample in samples]
        batch = Batch(images, truth, [sample.image_id for sample in samples])
        with naming(iteration, batch):
            return batch._replace(assignments=self._assign((images.shape[2], images.shape[3]), truth))

    def sample(self, place: int) -> Sample:
        """The image at a place of the run, counted from 0 over all epochs, resized and perhaps flipped."""
        index, resize, flipped, upside_down = self._draw(place)
        sample = self.dataset[index]
        sample = resize_sample(sample, resize.resized(sample.image.shape[:2]))
        sample = flip_sample(sample) if flipped else sample
        return flip_sample(sample, vertical=True) if upside_down else sample

    def _assign(self, image_size: tuple[int, int], truth: list[GroundTruth]) -> Tensor:
        """(B, N) the assignment of a batch's anchors: compiled, it takes no time in a process that makes batches."""
        anchors, rule = self.model.anchors, self.model.assignment
        thresholds = rule.positive_iou, rule.negative_iou, rule.force_match
        rows = [assign_pyramid(image_size, image.boxes, anchors, *thresholds) for image in truth]
        return torch.from_numpy(np.stack(rows))

    def _size(self, place: int) -> tuple[int, int]:
        """(height, width) of that sample's image, no pixels being read."""
        index, resize, *_ = self._draw(place)
        return resize.resized(self.dataset.record(index).image_size)

    def _draw(self, place: int) -> tuple[int, ResizeConfig, bool, bool]:
        """Which image it is, how it is resized, and whether it is flipped, horizontally and vertically."""
        training = self.training
        epoch, position = divmod(place, len(self.dataset))
        index = int(_order(len(self.dataset), training.seed, epoch)[position])
        rng = np.random.default_rng([training.seed, 1, place])
        resize = training.resize
        if training.jitter is not None:
            low, high = training.jitter
            resize = ResizeConfig(int(rng.integers(low, high + 1)), resize.longer_side)
        flipped, upside_down = rng.random(2) < (training.flip, training.vertical_flip)
        return index, resize, bool(flipped), bool(upside_down)


def resize_sample(sample: Sample, size: tuple[int, int]) -> Sample:
    """A sample brought to ``size`` = (height, width), pixels by bilinear interpolation, boxes by the exact ratios."""
    size = checks.image_size(size)
    boxes = scale_boxes(sample.boxes, sample.image.shape[:2], size)
    return replace(sample, image=resize_image(sample.image, size), boxes=boxes)


def flip_sample(sample: Sample, vertical: bool = False) -> Sample:
    """The mirror image of a sample: left and right exchanged, or top and bottom, in the pixels and in the boxes."""
    x1, y1, x2, y2 = sample.boxes.T
    height, width = sample.image.shape[:2]
    if vertical:
        return replace(sample, image=sample.image[::-1], boxes=np.stack([x1, height - y2, x2, height - y1], axis=1))
    return replace(sample, image=sample.image[:, ::-1], boxes=np.stack([width - x2, y1, width - x1, y2], axis=1))


@lru_cache(maxsize=4)
def _order(images: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """(images,) the order of an epoch."""
    return np.random.default_rng([seed, 0, epoch]).permutation(images)
