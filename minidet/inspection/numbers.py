"""A data set as a dense detector will see it: what is wrong with it, and whether anchors fit its boxes.

>>> print(inspect(open_dataset("bccd")).table())    # doctest: +SKIP

A class that no anchor ever fits is trained on nothing but background, and its average precision is 0. That shows here
before a training run, together with faults of the annotations and the imbalance that the focal loss is made for.

Everything is measured in pixels of the network's input, on the image itself (without the padding of a batch). Objects
marked ``ignore`` or ``crowd`` are not trained on: they are counted, and left out of everything else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minidet import checks
from minidet.config import AnchorConfig, AssignmentConfig, LossConfig, ResizeConfig, RetinaNetConfig
from minidet.data import Dataset, DatasetError, ImageFolder, Record
from minidet.geometry import scale_boxes
from minidet.inspection.operations import assign_pyramid, box_iou, pyramid_anchors
from minidet.inspection.report import COLUMNS, Boxes, Report
from minidet.progress import Progress
from minidet.structures import IGNORED
from minidet.wording import counted


def inspect(
    dataset: Dataset,
    anchors: AnchorConfig = AnchorConfig(),  # noqa: B008  these are frozen
    assignment: AssignmentConfig = AssignmentConfig(),  # noqa: B008
    loss: LossConfig = LossConfig(),  # noqa: B008
    resize: ResizeConfig | None = ResizeConfig(),  # noqa: B008
    prior: float = RetinaNetConfig.prior,
    check_images: bool = True,
    progress: bool = True,
) -> Report:
    """Look through a data set: its faults, its boxes beside the anchors, the imbalance, and the loss at the start.

    Args:
        dataset: boxes in pixels of the stored images.
        anchors: which anchors there are (section 4, "Anchors").
        assignment: which of them are positive.
        loss: gamma and alpha of the losses at the start (section 4.1).
        resize: how images are brought to the network's size (section 5.1); None: they keep their stored size.
        prior: pi, every anchor's probability of every class at the start (section 3.3).
        check_images: also decode every image; those that cannot be are faults of the report.
        progress: show a bar on stderr.

    Returns:
        The report: ``table()`` is its text, ``to_dict()`` everything as plain JSON types.

    Raises:
        ValueError: a box has no area, is inverted or not finite (the readers of this package leave such boxes out).
    """
    faults = list(dataset.faults)
    records = []
    stored: list[tuple[int, int]] = []  # orientation and bits of each image that could be decoded
    measured: list[tuple[np.ndarray, ...]] = []
    for i in Progress(range(len(dataset)), desc=f"inspecting {dataset.name}", unit="image", disable=not progress):
        if check_images:
            try:
                if isinstance(dataset, ImageFolder):
                    picture = dataset.picture(i)
                    stored.append((picture.orientation, picture.bits))
                else:
                    dataset[i]
            except DatasetError as error:
                faults.append(error.fault)
        record = dataset.record(i)
        records.append(record)
        measured.append(_measure(i, record, anchors, assignment, resize))
    image_sizes, counts, *columns = zip(*measured, strict=True) if measured else [()] * (2 + len(COLUMNS))
    integers = ("image", "label", "anchors", "forced")
    boxes = Boxes(*(
        np.concatenate([np.zeros(0), *column]).astype(np.int64 if name in integers else np.float64)
        for name, column in zip(COLUMNS, columns, strict=True)
    ))  # fmt: skip
    return Report(
        dataset.name, tuple(dataset.classes), anchors, assignment, loss, prior, resize, tuple(faults),
        tuple(record.image_id for record in records), np.array(image_sizes, np.int64).reshape(-1, 2),
        np.array(counts, np.int64).reshape(-1, 3), boxes, sum(int(record.ignore.sum()) for record in records),
        _notes(dataset, stored),
    )  # fmt: skip


def network_boxes(record: Record, resize: ResizeConfig | None) -> tuple[tuple[int, int], np.ndarray]:
    """An image and its boxes at the size of the network's input.

    Args:
        record: boxes in pixels of the stored image.
        resize: how images are brought to the network's size; None: they keep their stored size.

    Returns:
        (height, width), and the boxes there, (M, 4), without those to be ignored.

    Raises:
        ValueError: a box has no area, is inverted or not finite.
    """
    stored = record.image_size
    image_size = stored if resize is None else resize.resized(stored)
    boxes = checks.boxes(f"boxes of image {record.image_id!r}", record.boxes[~record.ignore], with_area=True)
    return image_size, scale_boxes(boxes, stored, image_size)


def _notes(dataset: Dataset, stored: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """What the reader decided, and how images are stored where that is a matter of choice."""
    if not isinstance(dataset, ImageFolder):
        return ()
    notes = list(dataset.notes)
    turned = sum(orientation != 1 for orientation, _ in stored)
    if turned:
        how = "as viewers show them" if dataset.oriented else "as they are stored (oriented=False)"
        notes.append(
            f"{counted(turned, 'image')} of {len(stored):,} {'is' if turned == 1 else 'are'} turned or mirrored by "
            f"EXIF: pixels and boxes are taken {how}; look at the page whether the boxes lie on the objects"
        )
    depths = sorted({bits for _, bits in stored if bits > 8})
    if depths:
        deep = sum(bits > 8 for _, bits in stored)
        notes.append(
            f"{counted(deep, 'image')} of {len(stored):,} {'holds' if deep == 1 else 'hold'} grey values of "
            f"{' or '.join(map(str, depths))} bits, of which the upper 8 are read"
            + ("" if len(depths) == 1 else ": the same grey is not the same in all images; save them with 8 bits")
        )
    return tuple(notes)


def _measure(
    index: int, record: Record, anchors: AnchorConfig, assignment: AssignmentConfig, resize: ResizeConfig | None
) -> tuple[np.ndarray, ...]:
    """The image's size, its counts of anchors, and the columns of its Boxes."""
    image_size, boxes = network_boxes(record, resize)
    rule = (image_size, boxes, anchors, assignment.positive_iou, assignment.negative_iou)
    assigned = assign_pyramid(*rule)
    plain = np.bincount(assigned[assigned >= 0], minlength=len(boxes))  # (M,)
    forced, without = plain, plain == 0
    best = np.full(len(boxes), np.nan)
    if without.any() or assignment.force_match:  # else forcing changes no box's coverage: save the time
        forcing = assign_pyramid(*rule, force_match=True)
        forced = np.bincount(forcing[forcing >= 0], minlength=len(boxes))
        assigned = forcing if assignment.force_match else assigned
    if without.any():
        everywhere = np.concatenate(pyramid_anchors(image_size, anchors))
        best[without] = box_iou(everywhere, boxes[without]).max(axis=0)
    positive, ignored = int((assigned >= 0).sum()), int((assigned == IGNORED).sum())
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    return (
        np.array(image_size), np.array([positive, ignored, len(assigned) - positive - ignored]),
        np.full(len(boxes), index), record.classes[~record.ignore], np.sqrt(width * height), height / width,
        plain, forced, best,
    )  # fmt: skip
