"""Text as other tools write it: encodings, byte-order marks, flags, JSON, XML, YAML."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import data
from minidet.data import Coco, Voc, Yolo
from minidet.data.text import decoded, parse_xml, read_json, read_text, truth
from minidet.data.yaml import parse_yaml
from tests.datasets import write_image, write_json, write_voc

MARKS = {
    "utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE,
}  # fmt: skip


@pytest.mark.parametrize("encoding", MARKS)
@given(text=st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])))
def test_a_mark_decides(encoding: str, text: str) -> None:
    assert decoded(MARKS[encoding] + text.encode(encoding)) == text
    assert decoded(MARKS[encoding] + text.encode(encoding), declared="gbk") == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_without_a_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("train\n猫 1\n".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "train\n猫 1\n"


def test_another_encoding_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("train\nKätzchen\n".encode("cp1252"))
    with pytest.raises(ValueError, match=r"a\.txt is not UTF-8 \(byte 7 is 0xe4\): save it as UTF-8"):
        read_text(tmp_path / "a.txt")
    with pytest.raises(ValueError, match=r"b\.txt cannot be read \(No such file"):
        read_text(tmp_path / "b.txt")


XML = '<?xml version="1.0" encoding="{}"?>\n<annotation><object><name>{}</name></object></annotation>'


@pytest.mark.parametrize(
    ("declared", "real", "name"),
    [
        ("gb2312", "gb2312", "红细胞"), ("GB2312", "gbk", "镕"), ("GBK", "gbk", "血小板"), ("gb18030", "gb18030", "㐂"),
        ("Shift_JIS", "shift_jis", "猫"), ("SHIFT-JIS", "cp932", "①"), ("EUC-JP", "euc-jp", "犬"),
        ("Big5", "big5", "貓"),
        ("euc-kr", "cp949", "고양이"), ("windows-1251", "cp1251", "кот"), ("ISO-8859-1", "cp1252", "€ chat"),
        ("us-ascii", "utf-8", "né"), ("gb2312", "utf-8", "猫"), ("utf-16", "utf-8", "cat"), ("UTF-8", "utf-8", "🐈"),
        ("utf-16", "utf-16", "猫"),
    ],
)  # fmt: skip
def test_xml_of_many_encodings(declared: str, real: str, name: str) -> None:
    assert parse_xml(XML.format(declared, name).encode(real)).findtext("object/name") == name


@pytest.mark.parametrize("before", [b"", codecs.BOM_UTF8, b"\n\n  ", codecs.BOM_UTF8 + b"\r\n"])
def test_xml_may_begin_late(before: bytes) -> None:
    assert parse_xml(before + XML.format("UTF-8", "猫").encode()).findtext("object/name") == "猫"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"), (b" \n", "is empty"), (b"<a><b>", "is not XML"), (b"hello", "is not XML"),
        (XML.format("utf-8", "红细胞").encode("gbk"), "is not UTF-8"), (b"<!doctype a><a/>", "DOCTYPE"),
        ('<!DOCTYPE a [<!ENTITY b "ha">]><a>&b;</a>'.encode("utf-16"), "DOCTYPE"),
        (b'<?xml version="1.0" encoding="gb2312"?><!DOCTYPE a [<!ENTITY b "ha">]><a>&b;</a>', "DOCTYPE"),
        (b'<?xml version="1.0" encoding="utf-7"?>+ADw-!DOCTYPE a+AD4-<a/>', "DOCTYPE"),
        (b'<?xml version="1.0" encoding="zip"?><a>\xff</a>', "is not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_xml(content: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_xml(content)


@pytest.mark.parametrize(
    "value", [1, True, "1", "true", "True", " TRUE ", "yes", "1.0", 2, 1.0, np.int64(1), np.bool_(True)]
)
def test_true(value: Any) -> None:
    assert truth(value) is True


@pytest.mark.parametrize(
    "value", [0, False, None, "0", "false", "False", "", "no", "0.0", "Unspecified", 0.0, np.int64(0), np.bool_(False)]
)
def test_false(value: Any) -> None:
    assert truth(value) is False


@pytest.mark.parametrize("value", ["maybe", "nan", float("nan"), [], {}, [1], "1 0"])
def test_neither(value: Any) -> None:
    with pytest.raises(ValueError, match="is neither true nor false: write 1 or 0"):
        truth(value)


@pytest.mark.parametrize("flag", ["0", "1", 0, 1, True, False, "false", "true", None])
def test_flags_of_coco_and_of_voc(tmp_path: Path, flag: Any) -> None:
    write_image(tmp_path / "a.png")
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    image = {"id": 1, "file_name": "a.png", "width": 40, "height": 30}
    for key in ("iscrowd", "ignore"):
        path = write_json(tmp_path / "a.json", [image], [entry | {key: flag}], [{"id": 1, "name": "cat"}])
        record = Coco(path, strict=True).record(0)
        assert record.ignore.tolist() == [truth(flag)]
        assert record.crowd.tolist() == [truth(flag) and key == "iscrowd"]
    write_voc(tmp_path, "a", ("cat", (1, 1, 9, 9)), difficult="" if flag is None else flag)
    assert Voc(tmp_path, strict=True).record(0).ignore.tolist() == [truth(flag)]


def test_other_flags_are_faults(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    entry = {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": "perhaps"}
    image = {"id": 1, "file_name": "a.png", "width": 40, "height": 30}
    dataset = Coco(write_json(tmp_path / "a.json", [image], [entry], [{"id": 1, "name": "cat"}]))
    assert [fault.kind for fault in dataset.faults] == [data.BAD_FLAG]
    assert "annotation 5 (cat) has a bad iscrowd: 'perhaps' is neither true nor false" in dataset.faults[0].detail
    assert dataset.record(0).crowd.tolist() == [False]
    write_voc(tmp_path, "a", ("cat", (1, 1, 9, 9)), difficult="hard")
    assert [fault.kind for fault in Voc(tmp_path).faults] == [data.BAD_FLAG]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"), (b'{"images": [', "Expecting value"), (b"{'images': []}", "property name"),
        (b"\xff\xfe{", "is not UTF-16-LE"), ('{"name": "Kätzchen"}'.encode("cp1252"), "is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)  # fmt: skip
def test_broken_json_names_its_file(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "labels.json").write_bytes(content)
    for read in (read_json, Coco):
        with pytest.raises(ValueError, match=rf"labels\.json .*{problem}"):
            read(tmp_path / "labels.json")


@pytest.mark.parametrize("mark", MARKS)
def test_files_with_a_mark(tmp_path: Path, mark: str) -> None:
    """A list, a JSON file, an XML file, YOLO's classes and lines: from an editor that puts a mark in front of all."""

    def rewrite(path: Path) -> None:
        path.write_bytes(MARKS[mark] + path.read_text().encode(mark))

    for name in ("a", "b"):
        rewrite(write_voc(tmp_path / "voc", name, ("cat", (1, 1, 9, 9))))
    lists = tmp_path / "voc" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\r\nb\r\n")
    rewrite(lists / "train.txt")
    dataset: Any = Voc(tmp_path / "voc", split="train", strict=True)
    assert [dataset.record(i).image_id for i in range(2)] == ["a", "b"]
    image = {"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}
    path = write_json(tmp_path / "coco.json", [image], [], [{"id": 1, "name": "cat"}])
    rewrite(path)
    assert len(Coco(path, tmp_path / "voc" / "JPEGImages", strict=True)) == 1
    write_image(tmp_path / "yolo" / "a.jpg")
    for name, text in (("classes.txt", "cat\ndog\n"), ("a.txt", "1 0.5 0.5 0.5 0.5\n")):
        (tmp_path / "yolo" / name).write_text(text)
        rewrite(tmp_path / "yolo" / name)
    dataset = Yolo(tmp_path / "yolo", strict=True)
    assert (dataset.classes, dataset.record(0).classes.tolist()) == (("cat", "dog"), [1])


ROBOFLOW = """\
train: ../train/images
val: ../valid/images

nc: 3
names: ['Platelets', "RBC", WBC]

roboflow:
  workspace: team-roboflow
  url: https://universe.roboflow.com/team/blood/4
"""
ULTRALYTICS = """\
# COCO128 by X: see https://docs.example.org/data
path: ../datasets/coco128 # dataset root dir
train: # two folders
  - images/train2017
  - "images/more # 2"
val: images/train2017
test: # optional

names:
  0: person
  1: 'hair drier'
  2: "it's: a"
kpt_shape: [17, 3]
download: |
  from x import [y
    {

  # z: [
flip_idx: [0, 2,
  1]
"""


def test_yaml_as_tools_write_it() -> None:
    assert parse_yaml(ROBOFLOW) == {
        "train": "../train/images", "val": "../valid/images", "nc": 3, "names": ["Platelets", "RBC", "WBC"],
        "roboflow": {"workspace": "team-roboflow", "url": "https://universe.roboflow.com/team/blood/4"},
    }  # fmt: skip
    assert parse_yaml(ULTRALYTICS) == {
        "path": "../datasets/coco128", "train": ["images/train2017", "images/more # 2"], "val": "images/train2017",
        "test": None, "names": {0: "person", 1: "hair drier", 2: "it's: a"}, "kpt_shape": [17, 3], "download": None,
        "flip_idx": [0, 2, 1],
    }  # fmt: skip
    assert parse_yaml("") == parse_yaml("# nothing\n---\n") == {}
    assert parse_yaml("names:\n- a\n- 2\n- '3'\n- ~\nnc: 4.5\nx: {a: 1, b: [true, no]}") == {
        "names": ["a", 2, "3", None], "nc": 4.5, "x": {"a": 1, "b": [True, "no"]},
    }  # fmt: skip


plain = st.text("abcXYZ é猫-_./0", min_size=1).map(str.strip).filter(lambda text: text and text[0].isalpha())
values = st.one_of(st.integers(), plain, st.booleans(), st.none())


@given(st.dictionaries(plain, st.one_of(values, st.lists(values), st.dictionaries(st.integers(0, 9), values))))
def test_yaml_that_is_json_too(content: dict[str, Any]) -> None:
    """YAML takes JSON on one line after the key."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()]
    expected = {
        key: {int(k) if not isinstance(k, str) else k: v for k, v in value.items()}
        if isinstance(value, dict)
        else value
        for key, value in json.loads(json.dumps(content)).items()
    }
    assert parse_yaml("\n".join(lines)) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a", 1), ("a: [1", 1), ("b: 1\nnames:\n    - a\n  - b", 4), ("a: &x text", 1), ("a: {b}", 1), ("\ta: 1", 1),
        ("- a", 1), ("a: [1]]", 1), ("a: 1\n  b: 2", 2), ("a: [,]", 1), ("a: [1 [2]]", 1),
    ],
)  # fmt: skip
def test_other_yaml_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^line {line}"):
        parse_yaml(text)
