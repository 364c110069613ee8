"""A part of a data set, and a fair division of one into two: to learn from, and to measure on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from minidet import checks
from minidet.data.faults import MISSING_IMAGE, Fault
from minidet.data.records import Dataset
from minidet.data.view import View


class Part(View):
    """Some images of a data set.

    An image that is to be kept and is no longer there is a fault: what is measured on the others is another number.

    Args:
        dataset: the whole.
        only: ids of the images to keep, in the order of the data set; None: all.
        without: ids of images to leave out.

    Raises:
        ValueError: the data set has none of the images that are to be kept.
    """

    def __init__(self, dataset: Dataset, only: Iterable[int | str] | None = None, without: Iterable[int | str] = ()):
        kept, left_out = None if only is None else dict.fromkeys(only), set(without)
        ids = [dataset.record(i).image_id for i in range(len(dataset))]
        super().__init__(
            dataset, [i for i, name in enumerate(ids) if (kept is None or name in kept) and name not in left_out]
        )
        accounted_for = {*ids, *left_out, *(fault.image_id for fault in dataset.faults)}
        self.missing = [name for name in kept or () if name not in accounted_for]
        if kept and not self.indices:
            some = ", ".join(map(str, sorted(kept, key=str)[:3]))
            raise ValueError(
                f"{dataset.name} has none of the {len(kept)} images that belong to this part, such as {some}"
            )

    @property
    def faults(self) -> list[Fault]:
        """Of the images of this part, those that belong to no image that was kept, and the images that are missing."""
        elsewhere = {self.dataset.record(i).image_id for i in set(range(len(self.dataset))) - set(self.indices)}
        problem = "belongs to this part but is no longer in the data: left out; put it back"
        missing = [
            Fault(MISSING_IMAGE, name, f"image {name}", f"image {name} of {self.name} {problem}")
            for name in self.missing
        ]
        return [fault for fault in self.dataset.faults if fault.image_id not in elsewhere] + missing


def hold_out(dataset: Dataset, fraction: float, seed: int = 0) -> list[int | str]:
    """Choose images to measure on, so that every class has about the same fraction of its objects among them.

    Rare classes are divided first (iterative stratification: Sechidis, Tsoumakas and Vlahavas, 2011), then images
    without objects. A class of one image stays to be learnt from; a class of two or more is in both parts as far as
    the images allow it.

    >>> from minidet.data.shapes import Shapes
    >>> len(hold_out(Shapes(images=50), 0.2))
    10

    Args:
        dataset: any data set.
        fraction: of the images, between 0 and 1.
        seed: another seed chooses others.

    Returns:
        The ids of the images, in the order of the data set; at least one where there are two or more.

    Raises:
        ValueError: the fraction is not between 0 and 1, or there are fewer than two images.
    """
    checks.number("val_fraction", fraction, above=0, below=1)
    if len(dataset) < 2:
        raise ValueError(
            f"val_fraction = {fraction}: {dataset.name} has fewer than two images, which cannot be divided"
        )
    counts = np.zeros((len(dataset), len(dataset.classes) + 1))  # objects of each class, and images that have none
    for i in range(len(dataset)):
        record = dataset.record(i)
        np.add.at(counts[i], record.classes[~record.ignore], 1)
        counts[i, -1] = not counts[i].any()
    wanted = min(max(1, round(fraction * len(dataset))), len(dataset) - 1)
    chosen = _divided(counts, fraction, np.random.default_rng(seed).permutation(len(dataset)))
    chosen = _of_size(chosen, counts, wanted)
    return [dataset.record(i).image_id for i in sorted(chosen)]


def _divided(counts: np.ndarray, fraction: float, order: np.ndarray) -> list[int]:
    """Images chosen class by class, the rarest first, each where more of its objects are still missing."""
    missing = np.stack([fraction * counts.sum(0), (1 - fraction) * counts.sum(0)])  # held out, learnt from
    free, chosen = order.tolist(), []
    while free:
        left = counts[free].sum(0)
        rarest = int(np.where(left > 0, left, np.inf).argmin())
        for i in [i for i in free if counts[i, rarest]]:
            single = np.count_nonzero(counts[:, rarest]) == 1
            held_out = (
                not single
                and missing[0, rarest] > 0.5 * counts[i, rarest]
                and (missing[0, rarest] / fraction >= missing[1, rarest] / (1 - fraction))
            )
            if held_out:
                chosen.append(i)
            missing[0 if held_out else 1] -= counts[i]
            free.remove(i)
    return chosen


def _of_size(chosen: list[int], counts: np.ndarray, wanted: int) -> list[int]:
    """The chosen images, with those that matter least to the rarest classes added or taken back."""
    weight = (counts / np.maximum(1, counts.sum(0))).max(1)  # of each image: its share of a class's objects
    while len(chosen) > wanted:
        chosen = sorted(chosen, key=lambda i: weight[i])[1:]
    others = sorted(set(range(len(counts))) - set(chosen), key=lambda i: weight[i])
    return chosen + others[: wanted - len(chosen)]
