"""From samples to the batches of a training run: resizing, flips, scale jitter, padding (sections 4.1 and 5).

Whatever is random is drawn from a generator of its own, seeded with the run's seed and the place in the run. A batch is
therefore a function of the settings and the step alone: it is the same for any number of workers, and a run that is
resumed need not repeat the steps before.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from minidet import checks
from minidet.compiled import assign_pyramid
from minidet.config import ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.data import Dataset, DatasetError, Sample
from minidet.data.augmentation import crop, photometric
from minidet.geometry import batch_images, resize_image, scale_boxes
from minidet.structures import Batch, GroundTruth


class TrainingData:
    """The batches of a training run over a data set, by number.

    Every image is seen once per epoch, in an order of that epoch's own. Epochs follow one another without a seam, so
    all batches are full, and one may hold images of two epochs.

    >>> from minidet.data.shapes import Shapes
    >>> data = TrainingData(Shapes(images=1000), RetinaNetConfig.tiny(num_classes=6), TrainingConfig.tiny())
    >>> data.batch(7).images.shape  # the same whenever and wherever it is asked for
    (8, 3, 256, 256)

    Args:
        dataset: images with their objects.
        model_config: how images are normalised and padded, and which anchors are assigned to the objects.
        training_config: the size of a batch, how images are resized and flipped, and the seed.

    Raises:
        ValueError: the data set is empty, or has more classes than the model.
    """

    def __init__(self, dataset: Dataset, model_config: RetinaNetConfig, training_config: TrainingConfig) -> None:
        if not len(dataset):
            raise ValueError(f"{dataset.name} holds no images: nothing can be learnt from it")
        if len(dataset.classes) > model_config.num_classes:
            raise ValueError(
                f"num_classes = {model_config.num_classes} is too few for {dataset.name}, which has "
                f"{len(dataset.classes)}"
            )
        self.dataset, self.model_config, self.training_config = dataset, model_config, training_config

    def batch(self, iteration: int, rank: int = 0, processes: int = 1) -> Batch[np.ndarray]:
        """The batch of one step, or the part of it that one of several processes trains with.

        Args:
            iteration: the step, counted from 0.
            rank: the number of this process, from 0.
            processes: how many share the batch.

        Returns:
            `batch_size / processes` images (B, 3, H, W), the objects of each, and the assignment (B, N) of the anchors.
            All parts of a batch are padded to one size.

        Raises:
            ValueError: the batch cannot be shared evenly; or, naming the iteration, an image cannot be read or an
                annotation is wrong.
        """
        size = self.training_config.batch_size
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
        images = batch_images([sample.image for sample in samples], self.model_config, elsewhere)
        truth = [GroundTruth(sample.boxes, sample.classes, sample.ignore) for sample in samples]
        batch = Batch(images, truth, [sample.image_id for sample in samples])
        with batch.naming(iteration):
            return batch._replace(assignments=self._assign((images.shape[2], images.shape[3]), truth))

    def sample(self, place: int) -> Sample:
        """The image at a place of the run, resized and perhaps flipped.

        Args:
            place: counted from 0 over the images of all epochs.

        Raises:
            DatasetError: the image cannot be read.
        """
        index, resize, flipped, upside_down = self._draw(place)
        sample = self.dataset[index]
        size = resize.resized(sample.image.shape[:2])
        sample = resize_sample(self._cropped(sample, place), size)
        if self.training_config.photometric:
            rng = np.random.default_rng([self.training_config.seed, 3, place])
            sample = replace(sample, image=photometric(sample.image, self.training_config.photometric, rng))
        sample = flip_sample(sample) if flipped else sample
        return flip_sample(sample, vertical=True) if upside_down else sample

    def _cropped(self, sample: Sample, place: int) -> Sample:
        """The sample, or a part of it."""
        if self.training_config.crop:
            rng = np.random.default_rng([self.training_config.seed, 2, place])
            if rng.random() < self.training_config.crop:
                return crop(sample, rng)
        return sample

    def _assign(self, image_size: tuple[int, int], truth: list[GroundTruth]) -> NDArray[np.int64]:
        """(B, N) the assignment of a batch's anchors: compiled, it takes no time in a process that makes batches."""
        anchors, rule = self.model_config.anchors, self.model_config.assignment
        thresholds = rule.positive_iou, rule.negative_iou, rule.force_match
        return np.stack([assign_pyramid(image_size, image.boxes, anchors, *thresholds) for image in truth])

    def _size(self, place: int) -> tuple[int, int]:
        """(height, width) of the image at that place after resizing, no pixels being read."""
        index, resize, *_ = self._draw(place)
        return resize.resized(self.dataset.record(index).image_size)

    def _draw(self, place: int) -> tuple[int, ResizeConfig, bool, bool]:
        """Which image it is, how it is resized, and whether it is flipped, horizontally and vertically."""
        config = self.training_config
        epoch, position = divmod(place, len(self.dataset))
        index = int(_order(len(self.dataset), config.seed, epoch)[position])
        rng = np.random.default_rng([config.seed, 1, place])
        resize = config.resize
        if config.jitter is not None:
            low, high = config.jitter
            resize = ResizeConfig(int(rng.integers(low, high + 1)), resize.longer_side)
        flipped, upside_down = rng.random(2) < (config.flip, config.vertical_flip)
        return index, resize, bool(flipped), bool(upside_down)


def resize_sample(sample: Sample, size: tuple[int, int]) -> Sample:
    """A sample brought to another size: pixels by bilinear interpolation, boxes by the exact ratios.

    Args:
        sample: an image and its objects.
        size: (height, width) wanted, pixels.

    Raises:
        ValueError: the size is not two whole numbers of 1 or more.
    """
    size = checks.image_size(size)
    boxes = scale_boxes(sample.boxes, sample.image.shape[:2], size)
    return replace(sample, image=resize_image(sample.image, size), boxes=boxes)


def flip_sample(sample: Sample, vertical: bool = False) -> Sample:
    """The mirror image of a sample: left and right exchanged in the pixels and in the boxes.

    Args:
        sample: an image and its objects.
        vertical: exchange top and bottom instead.
    """
    x1, y1, x2, y2 = sample.boxes.T
    height, width = sample.image.shape[:2]
    if vertical:
        return replace(sample, image=sample.image[::-1], boxes=np.stack([x1, height - y2, x2, height - y1], axis=1))
    return replace(sample, image=sample.image[:, ::-1], boxes=np.stack([width - x2, y1, width - x1, y2], axis=1))


@lru_cache(maxsize=4)
def _order(images: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """(images,) the order of an epoch."""
    return np.random.default_rng([seed, 0, epoch]).permutation(images)
