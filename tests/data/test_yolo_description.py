"""What data.yaml, obj.data and lists of names say: the class of each number, and where the images of each part are."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidet import data
from minidet.data import Yolo, convert, open_dataset, recognise
from tests.datasets import write_image

BOX = "0.5 0.5 0.5 0.5"


def write(root: Path, image: str, label: str, line: str = f"0 {BOX}") -> None:
    """An image and its text file, by their paths."""
    write_image(root / image)
    (root / label).parent.mkdir(parents=True, exist_ok=True)
    (root / label).write_text(line + "\n")


def described(root: Path, *lines: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text("\n".join(lines) + "\n")
    return root


def files_of(dataset: data.Dataset) -> list[str]:
    return [dataset.record(i).file_name for i in range(len(dataset))]


WAYS = {
    "classes.txt": {}, "obj.names": {}, "data.yaml": {"data.yaml": "train: images\nnames: list.txt\n"},
    "obj.data": {"obj.data": "classes = 4\ntrain = train.txt\nnames = data/list.txt\n", "train.txt": "images/a.png\n"},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("names", ["cat\n\ndog\nbird\n", "cat\r\n \r\ndog\r\nbird\r\n\r\n", "\ufeffcat\n\ndog\nbird"])
def test_a_blank_line_has_a_number_however_the_names_are_reached(tmp_path: Path, way: str, names: str) -> None:
    write(tmp_path, "images/a.png", "labels/a.txt", f"2 {BOX}\n3 0.4 0.4 0.1 0.1\n1 {BOX}")
    (tmp_path / ("list.txt" if WAYS[way] else way)).write_text(names, encoding="utf-8", newline="")
    for name, content in WAYS[way].items():
        (tmp_path / name).write_text(content)
    dataset = open_dataset(tmp_path)
    assert [dataset.classes[k] for k in dataset.record(0).classes] == ["dog", "bird"]
    assert [fault.kind for fault in dataset.faults] == [data.UNKNOWN_CLASS]  # the class without a name


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ("names: [null, true, 007]", ("null", "true", "007")),
        ("names:\n- ~\n- yes\n- 1e3", ("~", "yes", "1e3")),
        ("names:\n  0: no\n  1: '1.50'\n  2: 1.50", ("no", "1.50")),
        ("names: {0: None, 1: -0, 2: \"o\\n\"}", ("None", "-0", "o")),
        ("names:\n- cat\n-\n- dog", ("cat", "dog")),
        ("names: names.txt", ("007", "null")),
    ],
)  # fmt: skip
def test_names_are_what_is_written(tmp_path: Path, names: str, classes: tuple[str, ...]) -> None:
    write(tmp_path, "images/a.png", "labels/a.txt", f"0 {BOX}\n2 0.4 0.4 0.1 0.1")
    (tmp_path / "names.txt").write_text("007\nnull\n007\n")
    described(tmp_path, "train: images", names)
    dataset = Yolo(tmp_path)
    assert dataset.classes == classes
    assert len(dataset.record(0).classes) == 2


@pytest.mark.parametrize(
    "names",
    ["names: [a, [b]]", "names:\n- {a: b}", "names: {0: a, 0: b}", "names:\n  0: a\n  '0': b", "names: {[a]: b}"],
)
def test_names_that_are_none_are_refused(tmp_path: Path, names: str) -> None:
    write(tmp_path, "images/a.png", "labels/a.txt")
    with pytest.raises(ValueError, match=r"data\.yaml"):
        Yolo(described(tmp_path, "train: images", names))


def test_a_number_of_classes_that_does_not_fit_is_told(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "labels/a.txt")
    for count, notes in ((5, 1), (3, 0), (2, 0), ("many", 0)):  # 2: classes 0 and 2
        described(tmp_path, "train: images", f"nc: {count}", "names: {0: cat, 2: dog}")
        assert len(Yolo(tmp_path).notes) == notes
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "obj.data").write_text("classes = 5\ntrain = images\nnames = obj.names\n")
    (tmp_path / "obj.names").write_text("cat\n")
    assert Yolo(tmp_path).notes == [
        "classes is 5, but 1 class is named: the names are followed; correct obj.names if some are missing"
    ]


@pytest.mark.parametrize("word", ["val", "valid", "validation", "dev", "Validation"])
def test_a_part_is_found_by_every_word_for_it(tmp_path: Path, word: str) -> None:
    for part in ("training", word):
        write(tmp_path, f"images/{part}/{part}.png", f"labels/{part}/{part}.txt")
    described(tmp_path, "training: ./images/training/", f"{word}: ./images/{word}/", "names:", "  0: cat")
    assert recognise(tmp_path).splits == ("train", "val")
    assert files_of(open_dataset(tmp_path, "val")) == [f"images/{word}/{word}.png"]


def test_two_lines_for_one_part_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a/a.png", "a/a.txt")
    write(tmp_path, "b/b.png", "b/b.txt")
    described(tmp_path, "train: a", "val: a", "valid: b", "names: [cat]")
    with pytest.raises(ValueError, match=r"data\.yaml: the lines val and valid name the same part: keep one"):
        Yolo(tmp_path)


@pytest.mark.parametrize("above", ["/content/ds", "C:/me/my ds", "C:\\me", "../..", "https://x"])
@pytest.mark.parametrize("order", ["{part}/images", "images/{part}"])
def test_the_longest_end_of_a_path_from_elsewhere_leads_on(tmp_path: Path, above: str, order: str) -> None:
    for part in ("train", "valid"):
        folder = order.format(part=part)
        write(tmp_path, f"{folder}/{part}.png", f"{folder.replace('images', 'labels')}/{part}.txt")
    lines = [f"{key}: {above}/{order.format(part=part)}" for key, part in (("train", "train"), ("val", "valid"))]
    for more in ([], [f"path: {above}"]):
        described(tmp_path, *lines, *more, "names: [cat]")
        for split, part in (("train", "train"), ("val", "valid")):
            dataset = open_dataset(tmp_path, split, strict=True)
            assert files_of(dataset) == [f"{order.format(part=part)}/{part}.png"]
            assert len(dataset.record(0).boxes) == 1


@pytest.mark.parametrize("parts", [("train", "valid"), ("train",)])
def test_no_end_of_a_path_leads_to_the_images_of_all_parts(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for part in ("train", "val"):
        write(tmp_path, f"images/{part}/{part}.png", f"labels/{part}/{part}.txt")
    lines = [f"{key}: C:/me/{part}/images" for key, part in zip(("train", "val"), parts, strict=False)]
    described(tmp_path, *lines, "names: [cat]")
    with pytest.raises(ValueError, match=r"C:/me/train/images is neither a folder of images nor .*: correct the path"):
        open_dataset(tmp_path, "train")


def test_two_parts_that_end_in_one_place_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "labels/a.txt")
    described(tmp_path, "train: /x/one/images", "val: /x/two/images", "names: [cat]")
    with pytest.raises(ValueError, match=r"'train: /x/one/images' and 'val: /x/two/images' both lead to .*images"):
        open_dataset(tmp_path, "train")
    described(tmp_path, "train: /x/one/images", "val: /x/one/images", "names: [cat]")  # as it is meant
    assert files_of(open_dataset(tmp_path, "val")) == ["images/a.png"]
    described(tmp_path, "train: list.txt", "names: [cat]")
    (tmp_path / "list.txt").write_text("/x/one/images/a.png\n/x/two/images/a.png\n")
    with pytest.raises(ValueError, match=r"list\.txt: '/x/one/images/a\.png' and '/x/two/images/a\.png' both lead to"):
        open_dataset(tmp_path, "train")


def test_lists_of_train_and_of_val_do_not_end_in_the_same_images(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "a.txt")
    for part in ("train", "val"):
        (tmp_path / f"{part}.txt").write_text(f"/x/{part}/a.png\n")
    described(tmp_path, "train: train.txt", "val: val.txt", "names: [cat]")
    for part in ("train", "val"):
        assert [fault.kind for fault in open_dataset(tmp_path, part).faults] == [data.MISSING_IMAGE]


def linked(root: Path) -> Path:
    """Two images that are links, and one that is none; the description lies elsewhere."""
    for name in ("a", "b"):
        write(root / "ds", f"../store/{name * 3}.png", f"labels/{name}.txt")
        (root / "ds" / "images").mkdir(exist_ok=True)
        (root / "ds" / "images" / f"{name}.png").symlink_to(root / "store" / f"{name * 3}.png")
    write(root / "ds", "images/c.png", "labels/c.txt")
    return root / "ds" / "images"


@pytest.mark.parametrize("absolute", [True, False])
def test_images_that_are_links_keep_their_labels(tmp_path: Path, absolute: bool, monkeypatch) -> None:
    images = linked(tmp_path)
    folder = described(tmp_path / "cfg" / "x", f"train: {images if absolute else '../../ds/images'}", "names: [cat]")
    monkeypatch.chdir(tmp_path)
    for source in (folder, Path("cfg/x/data.yaml"), Path("cfg/../cfg/x")):
        dataset = open_dataset(source, strict=True)
        assert [(dataset.record(i).image_id, len(dataset.record(i).boxes)) for i in range(3)] == [
            ("a", 1), ("b", 1), ("c", 1),
        ]  # fmt: skip
        assert dataset[0].image.shape == (30, 40, 3)


def test_a_folder_is_named_alike_from_everywhere(tmp_path: Path, monkeypatch) -> None:
    for part in ("train", "val"):
        write(tmp_path / "ds", f"images/{part}/a.png", f"labels/{part}/a.txt")
    described(tmp_path / "ds", f"path: {tmp_path / 'ds'}", "train: images/train", "val: images/val", "names: [cat]")
    (tmp_path / "other").mkdir()
    for here, source in ((tmp_path, "ds"), (tmp_path / "other", "../ds"), (tmp_path / "ds", "."), (tmp_path, "./ds/.")):
        monkeypatch.chdir(here)
        dataset = open_dataset(source, "train", strict=True)
        assert (dataset.name, dataset.record(0).image_id, files_of(dataset)) == (
            "ds",
            "train/a",
            ["images/train/a.png"],
        )


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_images_above_the_description_are_copied_into_the_new_folder(tmp_path: Path, kind: str) -> None:
    write(tmp_path, "ds/images/a.png", "ds/labels/a.txt")
    described(tmp_path / "cfg" / "a" / "b", "train: ../../../ds/images", "names: [cat]")
    before = set(tmp_path.rglob("*"))
    convert(tmp_path / "cfg" / "a" / "b" / "data.yaml", tmp_path / "q" / "out", kind, progress=False)
    new = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "q") for path in new)
    assert len(list((tmp_path / "q" / "out").rglob("a.png"))) == 1
    assert len(open_dataset(tmp_path / "q" / "out", strict=True).record(0).boxes) == 1


@pytest.mark.slow
def test_a_path_that_leads_nowhere_is_told_with_the_file_that_names_it(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "labels/a.txt")
    for source in ("nowhere", "x/" * 3000, "y" * 300):
        described(tmp_path, f"train: {source}", "names: [cat]")
        with pytest.raises(ValueError, match=r"is neither a folder of images nor .*: correct .* in .*data\.yaml$"):
            open_dataset(tmp_path)
    described(tmp_path, "train: list.txt", "names: [cat]", "nc: 1e400")
    (tmp_path / "list.txt").write_text(f"images/a.png\n{'y' * 300}.png\n")
    dataset = open_dataset(tmp_path)
    assert (len(dataset), [fault.kind for fault in dataset.faults]) == (1, [data.MISSING_IMAGE])
