"""Files of COCO: what is read fast is what is read with care, and what only care can read is left to it."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from minidet.data.text import read_json
from minidet.evaluation import evaluate, quick
from minidet.evaluation.reading import read_detections, read_ground_truth
from minidet.evaluation.scan import scan
from tests.benchmarks.detections import realistic
from tests.evaluation.test_evaluation import BOX, detected, ground_truth, pycocotools, random_set

pytest.importorskip("msgspec", reason="without it there is one reader")


@pytest.fixture
def both(tmp_path):
    """Files of the given texts."""

    def write(truth, found):
        paths = tmp_path / "truth.json", tmp_path / "found.json"
        for path, content in zip(paths, (truth, found), strict=True):
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return paths

    return write


def fast(truth, found):
    """What the fast reader alone makes of two files."""
    images, categories, gt = quick.ground_truth(truth)
    return images, categories, gt, quick.detections(found, images, categories)


def read(truth, found):
    """The columns of both; `found` may be a function that loads the detections."""
    images, categories, objects = read_ground_truth(truth)
    return images, categories, objects, read_detections(found() if callable(found) else found, images, categories)


def careful(truth, found):
    """What is read with Python's own parser: columns or the message of the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a width * height beyond all numbers
        try:
            return read(read_json(truth), lambda: read_json(found))
        except ValueError as error:
            return str(error)


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, str):
        assert one == other
        return
    assert one[:2] == other[:2]
    for mine, theirs in zip(one[2:], other[2:], strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("piece", [1, 60, 1000, 1 << 20])
@pytest.mark.parametrize("layout", [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])
def test_ordinary_files_are_read_fast(both, monkeypatch, piece, layout):
    monkeypatch.setattr(quick, "PIECE", piece)
    truth, found = random_set(3, images=6)
    truth["images"] = [row | {"file_name": f'}}, {{é " {row["id"]}.jpg'} for row in truth["images"]]
    paths = both(*(json.dumps(one, **layout).encode() for one in (truth, found)))
    assert_same(fast(*paths), read(truth, found))


@pytest.mark.slow
def test_files_of_a_detector_equal_pycocotools(both):
    truth, found = realistic(60, seed=1)
    paths, expected = both(truth, found), pycocotools(truth, found)
    fast(*paths)
    result = evaluate(*paths)
    for name in ("precision", "recall", "scores"):
        np.testing.assert_array_equal(getattr(result, name), expected.eval[name])
    assert result.metrics["AP"] > 0.1


@pytest.mark.parametrize(
    "found",
    [b"[]", b" [ ] ", b"\n[\t]\r\n"],
)
def test_no_detections_are_read_fast(both, found):
    paths = both(ground_truth((1, 1, BOX)), found)
    assert_same(fast(*paths), careful(*paths))


UNUSUAL = st.sampled_from([
    "0", "-0", "-0.0", "1", "2.0", "1e0", "true", "false", "null", "NaN", "Infinity", "1e400", "-1e400", "1e-400", "01",
    "1.", "-1", '"1"', '"a"', '"\\ud800"', '"\\u0031"', "[]", "{}", "[1]", "9007199254740993", "1e308",
    "123456789012345678901234567890",
])  # fmt: skip
NUMBER = st.one_of(
    st.floats(0, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(0, 10**25).map(str),
    st.tuples(st.integers(0, 10**22), st.integers(0, 10**22), st.integers(-330, 290)).map(
        "{0[0]}.{0[1]}e{0[2]}".format
    ),
)
VALUE = st.integers(0, 19).flatmap(lambda one: NUMBER if one else UNUSUAL)
ID = st.integers(0, 19).flatmap(lambda one: st.sampled_from(["1", "2", '"a"']) if one else UNUSUAL)
CORNERS = st.lists(VALUE, min_size=4, max_size=4) | st.lists(NUMBER, max_size=5)


@st.composite
def rows(draw, *optional):
    """The text of a dict of a detection or an annotation, seldom with something missing, double or strange in it."""
    fields = {"image_id": draw(ID), "category_id": draw(st.sampled_from("12")), "bbox": f"[{', '.join(draw(CORNERS))}]"}
    fields |= {key: draw(VALUE) for key in optional if key == "score" or draw(st.booleans())}
    pairs = draw(st.permutations([f'"{key}": {value}' for key, value in fields.items()]))
    if draw(st.integers(0, 9)) == 0:
        pairs = draw(st.sampled_from([pairs[1:], [*pairs, pairs[0]], [*pairs, '"more": {"a": [1, {}]}']]))
    return f"{{{', '.join(pairs)}}}"


@st.composite
def texts(draw):
    """The texts of two files."""
    ids = draw(
        st.sampled_from(['{"id": 1}, {"id": 2}, {"id": "a"}', '{"id": 2, "file_name": "é"}, {"id": "a"}, {"id": 1}'])
    )
    annotations = ", ".join(draw(st.lists(rows("area", "iscrowd"), max_size=3)))
    truth = f'{{"images": [{ids}], "categories": [{{"id": 1}}, {{"id": 2}}], "annotations": [{annotations}]}}'
    found = f"[{draw(st.sampled_from([',', ', ', ' ,'])).join(draw(st.lists(rows('score'), max_size=4)))}]"
    both = [truth.encode(), found.encode()]
    if draw(st.integers(0, 3)) == 0:  # a byte that is another, missing or new
        which = draw(st.integers(0, 1))
        at, byte = (
            draw(st.integers(0, len(both[which]))),
            draw(st.sampled_from(b'{}[],:"0 \n\x0b\\eE.-\xff\xc3\x00').map(lambda b: bytes([b]))),
        )
        both[which] = both[which][:at] + byte + both[which][at + draw(st.integers(0, 1)) :]
    return both


@settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(contents=texts(), piece=st.sampled_from([1, 50, 1 << 20]))
@example(contents=[b'{"images": [], "categories": [], "annotations": [], "x": "\xff"}', b"[]"], piece=1)
@example(contents=[json.dumps(ground_truth((1, 1, BOX))).encode(), b"\xef\xbb\xbf[]"], piece=1)
@example(contents=[json.dumps(ground_truth((1, 1, BOX))).encode("utf-16"), b"[]"], piece=1)
@example(
    contents=[json.dumps(ground_truth()).encode(), json.dumps(detected((1, 1, BOX, 1))).encode()[:-1] + b",]"], piece=1
)
@pytest.mark.slow
@example(contents=[json.dumps(ground_truth()).encode(), b'[{"x": [{"y": "},"},{"y": 1}]}]'], piece=1)
def test_the_fast_reader_reads_what_the_careful_one_does(both, monkeypatch, contents, piece):
    """The same columns or the same message; and what it reads alone, it reads alike."""
    monkeypatch.setattr(quick, "PIECE", piece)
    paths = both(*contents)
    expected = careful(*paths)
    with contextlib.suppress(quick.UnusualError):
        assert_same(fast(*paths), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            result = read(*paths)
        except ValueError as error:
            result = str(error)
    assert_same(result, expected)


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(numbers=st.lists(NUMBER, min_size=4, max_size=4))
def test_every_digit_of_a_number_counts(both, numbers):
    wanted = [float(number) for number in numbers]
    paths = both(
        ground_truth(), f'[{{"image_id": 1, "category_id": 1, "bbox": [{", ".join(numbers)}], "score": 1}}]'.encode()
    )
    try:
        assert fast(*paths)[3][2].tolist() == [wanted]
    except quick.UnusualError:
        assert not np.isfinite([*wanted, wanted[2] * wanted[3]]).all()


def scanned(texts):
    """What the scanner makes of one piece: how many detections, and their numbers."""
    data = ", ".join(texts).encode()
    image, category = np.empty((2, 9), np.int32)
    box, score, first = np.empty((9, 4)), np.empty(9), np.zeros(1, np.int64)
    bounds, ids = np.array([[0, len(data)]]), np.array([-3, 1, 7])
    rows = scan(data + b"\0", bounds, ids, ids, image, category, box, score, first)[0]
    return rows, np.column_stack([image, category, box, score])[: max(rows, 0)].tolist()


ROW = '{{"image_id": {}, "category_id": {}, "bbox": [{}, {}, {}, {}], "score": {}}}'


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    whole=st.lists(st.integers(2**52, 2**64) | st.integers(0, 2**62), min_size=5, max_size=5),
    places=st.lists(st.integers(0, 24), min_size=5, max_size=5),
)
@example(whole=[2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, 2**53 + 3], places=[0] * 5)  # two lie between two floats
@example(whole=[2**62 - 1, 2**62, 2**62 - 9, 2**62 // 10, 2**62 // 10 + 1], places=[0, 0, 22, 22, 22])
@example(whole=[5**22 * k for k in (2001, 2003, 3, 5, 1501)], places=[22] * 5)  # 2001 / 2**22: exact
@example(whole=[9007199254740993 * 5, 9007199254740995 * 5, 5, 15, 25], places=[1, 1, 1, 2, 3])
def test_the_scanner_rounds_every_decimal_number_as_python_does(whole, places):
    texts = [f"{m:0{k + 1}d}" for m, k in zip(whole, places, strict=True)]
    texts = [
        text[: len(text) - k] + "." * (k > 0) + text[len(text) - k :] for text, k in zip(texts, places, strict=True)
    ]
    numbers = [*map(float, texts)]
    assert scanned([ROW.format(7, -3, *texts)]) == (1, [[2, 0, *numbers]])


def test_the_scanner_is_seldom_in_doubt(monkeypatch):
    """Of numbers with the digits of float32 and float64 it leaves none to Python."""
    monkeypatch.setattr("minidet.evaluation.scan.json", None)
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        values = (rng.uniform(0, 640, (200, 5)) * 10.0 ** rng.integers(-5, 1, (200, 5))).astype(dtype)
        for row in values.tolist():
            assert scanned([ROW.format(1, 1, *row)]) == (1, [[1, 1, *row]])


@pytest.mark.parametrize(
    "text", ["-0", "-0.0", "-0e5", "0." + "0" * 10_009 + "1e10020", "1e-99999", "0e99999", "0.0e-99999", "1" + "0" * 99]
)
def test_the_scanner_reads_the_strangest_numbers_as_json_does(text):
    rows, found = scanned([ROW.format(1, 1, 0, 0, 1, 1, text)])
    assert (rows, repr(found[0][6])) == (1, repr(float(json.loads(text))))


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_whole_number_that_is_no_float_is_an_error(both, monkeypatch, digits):
    monkeypatch.setattr(quick, "PIECE", 1)
    row = '{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": ' + "1" * digits + "}"
    assert scanned([row]) == (-1, [])
    paths = both(ground_truth((1, 1, BOX)), f"[{row}]".encode())
    with pytest.raises(ValueError, match=r"score|found\.json"):
        evaluate(*paths)


def test_without_the_compiler_the_scanner_reads_the_same():
    """As plain Python its numbers are NumPy's, whose integers are as wide as their bytes unless told otherwise."""
    code = f"""
import numpy as np
from minidet.evaluation.scan import scan
data = {ROW.format(300, 1, 123.456, 1000, 5, 640.25, 0.987654321)!r}.encode()
columns = np.empty(1, np.int32), np.empty(1, np.int32), np.empty((1, 4)), np.empty(1)
ids, bounds, first = (np.array([44, 300]), np.array([1])), np.array([[0, len(data)]]), np.zeros(1, np.int64)
rows = scan(data + b"\\0", bounds, *ids, *columns, first)
print(rows.tolist(), [column.tolist() for column in columns])
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    told = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert told.stdout.strip() == "[1] [[1], [0], [[123.456, 1000.0, 5.0, 640.25]], [0.987654321]]", told.stderr


@pytest.mark.parametrize(
    "row",
    [
        ROW.format(1, 1, 1, 1, 1, 1, 1)[:-1], ROW.format(1, 1, 1, 1, 1, 1, 1) + "]", ROW.format(1, 1, 1, 1, 1, 1, ""),
        ROW.format(2, 1, 1, 1, 1, 1, 1), ROW.format(1, '"1"', 1, 1, 1, 1, 1), ROW.format(1.0, 1, 1, 1, 1, 1, 1),
        ROW.format(1, 1, "01", 1, 1, 1, 1), ROW.format(1, 1, "1.", 1, 1, 1, 1), ROW.format(1, 1, ".5", 1, 1, 1, 1),
        ROW.format(1, 1, "1e", 1, 1, 1, 1), ROW.format(1, 1, "+1", 1, 1, 1, 1), ROW.format(1, 1, "-", 1, 1, 1, 1),
        ROW.format(1, 1, "1, 1", 1, 1, 1, 1), ROW.format(1, 1, "NaN", 1, 1, 1, 1), ROW.format("", 1, 1, 1, 1, 1, 1),
        ROW.format(1, 1, 1, 1, 1, 1, '1, "score": 1'), ROW.format(1, 1, 1, 1, 1, 1, '1, "id": 1'), "{}", "{", "", "[]",
        ROW.format(1, 1, 1, 1, 1, 1, 1).replace(', "score": 1', ""), ROW.format(1, 1, 1, 1, 1, 1, 1).replace(":", ""),
        ROW.format(1, 1, 1, 1, 1, 1, 1) + ",", ROW.format(1, 1, 1, 1, 1, 1, 1) * 2, ROW.format(2**63, 1, 1, 1, 1, 1, 1),
        ROW.format(1, 1, 1, 1, 1, 1, 1).replace("score", "scare"), ROW.format(1, 1, 1, 1, 1, 1, 1).replace("[", "("),
    ],
)  # fmt: skip
def test_the_scanner_leaves_every_other_form_alone(row):
    good = ROW.format(1, 1, 1, 1, 1, 1, 1)
    assert scanned([row]) == (-1, [])
    assert scanned([good, row]) == (-1, [])
    assert scanned([good, good.replace(" ", "\t\r\n ")])[0] == 2


def test_a_large_file_is_scanned_on_every_core(both, monkeypatch):
    """Pieces of another form among the others are decoded, and their rows stay where they were."""
    truth, found = random_set(5, images=40)
    found = [row | {"score": row["score"] + 1e-30} for row in found] * 60
    found[len(found) // 2] = found[-1] | {"more": 1}
    paths = both(truth, found)
    monkeypatch.setattr(quick, "PIECE", 8000)  # 128 kB at once are worth two threads
    decoded = []
    monkeypatch.setattr(
        quick, "_decoded", lambda decoder, data, real=quick._decoded: decoded.append(data) or real(decoder, data)
    )
    assert_same(fast(*paths), read(truth, found))
    assert len(decoded) == 2  # the ground truth and the piece with more


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_read_once(tmp_path):
    truth, found = tmp_path / "truth.json", tmp_path / "pipe"
    truth.write_text(json.dumps(ground_truth((1, 1, BOX))))
    os.mkfifo(found)
    writer = threading.Thread(target=found.write_text, args=[json.dumps(detected((1, 1, BOX, 0.5)))])
    writer.start()
    assert evaluate(truth, found).metrics["AP50"] == pytest.approx(1)
    writer.join()


def test_without_msgspec_the_careful_reader_does_everything(both, monkeypatch):
    truth, found = random_set(4)
    paths = both(truth, found)
    wanted = evaluate(*paths)
    monkeypatch.setattr(quick, "msgspec", None)
    with pytest.raises(quick.UnusualError):
        quick.ground_truth(paths[0])
    np.testing.assert_array_equal(evaluate(*paths).precision, wanted.precision)
