"""Whether a run that goes on still has the data that it was begun with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.wording import counted

if TYPE_CHECKING:
    from minidet.config import RunSettings
    from minidet.data import Dataset

IMAGES = "images.json"
"""The file of a run that lists the images it learns from."""
MEASURED = "images_val.json"
"""The file of a run that lists the images it is evaluated on."""
FAULTS = "faults.json"
"""The file of a run that lists what is wrong in its data."""
_NAMED = 5  # images that a message names


def check_classes(dataset: Dataset, settings: RunSettings) -> None:
    """Refuse a data set whose classes or category ids are no longer those of the run: its labels would be wrong.

    Raises:
        ValueError: they differ; the message names what changed.
    """
    numbers = tuple(dataset.category_ids)
    if (dataset.classes, numbers) == (settings.classes, settings.category_ids):
        return
    before = dict(enumerate(zip(settings.classes, settings.category_ids or (), strict=True)))
    now = dict(enumerate(zip(dataset.classes, numbers, strict=True)))
    changes = [
        f"class {k} was {_class(before.get(k))}, is {_class(now.get(k))}"
        for k in {**before, **now}
        if before.get(k) != now.get(k)
    ]
    raise ValueError(
        f"the classes of {dataset.name} have changed since the run was begun: {'; '.join(changes)}. Put them back, or "
        "train in a new folder"
    )


def check_images(run: Path, dataset: Dataset, allowed: bool) -> str | None:
    """Compare the images and annotations of a data set with the list that a run keeps.

    Args:
        run: the folder of the run; one without a list (it is new, or its data is drawn) is compared with nothing.
        dataset: what is to be trained on.
        allowed: whether images may have been added, removed or annotated anew.

    Returns:
        What changed, in words; None when nothing did.

    Raises:
        ValueError: something changed and is not allowed to.
    """
    changes = _changes(run / IMAGES, dataset)
    if not changes:
        return None
    text = f"the images of {dataset.name} have changed since the run was begun: {changes}"
    if not allowed:
        raise ValueError(f"{text}. Put them back, go on with them by --changed-data, or train in a new folder")
    return text


def measured_otherwise(run: Path, unseen: Dataset) -> str | None:
    """Compare the images that a run is evaluated on, and their annotations, with those of the last time.

    Args:
        run: the folder of the run.
        unseen: what is to be evaluated on.

    Returns:
        A sentence that says what changed; None when nothing did, or when it is the first time.
    """
    changes = _changes(run / MEASURED, unseen)
    if not changes:
        return None
    return (
        f"the images of {unseen.name} to evaluate on have changed since the run was trained last: {changes}. Its AP "
        "before and after are not of the same images, and the best weights and --patience go by both"
    )


def learnt_too(images: Iterable[Sequence[Any]], dataset: Dataset) -> str | None:
    """Whether images to evaluate on are among those that a run learns from, by their names, sizes and boxes.

    Args:
        images: what is learnt from, as from `image_list`.
        dataset: what is evaluated on.

    Returns:
        A sentence that says how many; None when there are none. An image without objects is not counted: another one
        may have its name and size.
    """
    learnt = {content for _, content in images}
    both = [
        dataset.record(i).file_name
        for i, (_, content) in enumerate(image_list(dataset))
        if content in learnt and len(dataset.record(i).boxes)
    ]
    if not both:
        return None
    return (
        f"also learnt from: {len(both):,} of {counted(len(dataset), 'image')} to evaluate on ({_some(both)}); AP on "
        "them does not tell what the detector finds in others"
    )


@contextmanager
def remembered(run: Path, dataset: Dataset, unseen: Dataset | None) -> Iterator[None]:
    """Keep the lists of images in the folder of a run while it is trained, and a list of faults where there are any.

    They are taken back if the run is not begun.

    Args:
        run: the folder.
        dataset: what is trained on.
        unseen: what is evaluated on, if anything.
    """
    from minidet.files import write_json, write_text

    config, there = run / "config.json", run.exists()
    lists = {IMAGES: dataset, **({MEASURED: unseen} if unseen is not None else {})}
    written = [write_text(run / name, json.dumps(image_list(read)) + "\n") for name, read in lists.items()]
    faults = {
        name: [asdict(fault) for fault in read.faults]
        for name, read in (("data", dataset), ("val", unseen))
        if read is not None
    }
    if any(faults.values()):
        written.append(write_json(run / FAULTS, faults))
    try:
        yield
    finally:
        if not config.exists():
            for path in written:
                path.unlink()
            if not there:
                run.rmdir()


def image_list(dataset: Dataset) -> list[tuple[int | str, str]]:
    """Every image by its id, with a hash of its name, size, boxes and classes."""
    entries = []
    for i in range(len(dataset)):
        record = dataset.record(i)
        content = hashlib.blake2b(
            f"{record.file_name} {record.image_size}".encode(errors="surrogatepass"), digest_size=6
        )
        for array in (record.boxes, record.classes, record.ignore):
            content.update(array.tobytes())
        entries.append((record.image_id, content.hexdigest()))
    return entries


def _changes(path: Path, dataset: Dataset) -> str:
    """How the images and annotations of a data set differ from a list that was kept; "" if they do not, or none was."""
    if not path.exists():
        return ""
    before, now = dict(json.loads(path.read_bytes())), dict(image_list(dataset))
    kinds = {
        "added": [name for name in now if name not in before],
        "removed": [name for name in before if name not in now],
        "annotated anew": [name for name in now if name in before and now[name] != before[name]],
    }
    return ", ".join(f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds.items() if names)


def _class(entry: tuple[str, int] | None) -> str:
    return "missing" if entry is None else f"{entry[0]!r} with category id {entry[1]}"


def _some(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names[:_NAMED])) + (", …" if len(names) > _NAMED else "")
