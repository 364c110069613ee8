"""Submissions that mean harm: at most the stub's points, in time, nothing left behind, and the others are graded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from minidet.course import confine, wire
from minidet.course.classroom import grade_all
from minidet.course.link import ROOT, Link
from minidet.course.process import Limits
from tests.course.attacks import ATTACKS
from tests.course.helpers import grade, load, solution, stub

pytestmark = pytest.mark.slow

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the keeper's and the kernel's means are those of Linux")
MARKER = f"marker{os.getpid()}"
HONEST = 4
IN_TIME = 60.0
"""Seconds, the most that any submission may take; the busy machine's time to start processes is in it."""


def running(marker: str) -> list[str]:
    """The processes whose command line or folder shows the marker."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            text = (place / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if marker in text and place.name != str(os.getpid()):
            found.append(text)
    return found


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    return grade_class(tmp_path_factory.mktemp("class"))


def grade_class(root: Path):
    """All attacks and a few honest solutions, graded as one class: the results by name, the file of grades that they
    must not touch, and the folders that are left where temporary ones are made: a place that no other grader uses."""
    if sys.platform != "linux":
        pytest.skip("the kernel's means are those of Linux")
    probe = grade("a3", stub("a3"))
    if probe.confined != {"files", "processes"}:
        pytest.skip("this kernel offers no Landlock or no system call filter: the attacks would be real")
    results = root / "results.json"
    results.write_text("untouched")
    (root / "submissions").mkdir()
    for name, source in ATTACKS.items():
        text = source.replace("ROOT", repr(str(ROOT.parent))).replace("RESULTS", repr(str(results)))
        file = root / "submissions" / f"{name}.py"
        file.write_text(f"{stub('a3')}\n{text.replace('MARKER', MARKER)}", encoding="utf-8")
    for number in range(HONEST):
        (root / "submissions" / f"honest {number}.py").write_text(solution("a3"), encoding="utf-8")
    temporary = root / "temporary"
    temporary.mkdir()
    limits = Limits(seconds=0.5, total=6.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temporary))
        entries = grade_all(root / "submissions", load("a3"), jobs=4, limits=limits)
    return {entry.name: entry.result for entry in entries}, results, list(temporary.iterdir())


def test_no_attack_earns_more_than_the_stub(graded):
    results, _, _ = graded
    assert {name: result.total for name, result in results.items() if name in ATTACKS} == dict.fromkeys(ATTACKS, 0)
    assert len(ATTACKS) >= 26


def test_the_others_are_graded(graded):
    results, _, _ = graded
    assert [results[f"honest {number}"].total for number in range(HONEST)] == [100] * HONEST


def test_every_attack_ends_in_time(graded):
    results, _, _ = graded
    assert max(result.seconds for result in results.values()) < IN_TIME


def test_nothing_is_left_behind(graded):
    _, file, left = graded
    assert running(MARKER) == []
    assert left == []
    assert file.read_text() == "untouched"
    assert not Path(f"/tmp/{MARKER}").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("forges rows", "something else than a result was written"), ("asks for right answers", "nobody asks"),
        ("imports the reference", "may not be imported"),
        ("a line per second", "no result"), ("exits at once", "exit status 0"), ("deep JSON", "no JSON"),
        ("leaves a process behind", "PermissionError"), ("writes the grade", "Permission denied"),
    ],
)  # fmt: skip
def test_the_remark_says_what_happened(graded, name, told):
    results, _, _ = graded
    assert told in results[name].remark


@LINUX
@pytest.mark.parametrize("name", ["leaves a process behind", "a child that keeps the pipe"])
def test_what_is_left_behind_is_ended_without_the_kernels_help_too(name):
    source = ATTACKS[name].replace("MARKER", f"{MARKER}-apart")
    result = grade("a3", f"{stub('a3')}\n{source}", Limits(seconds=0.5, total=5.0, confined=False))
    assert result.total == 0
    assert running(f"{MARKER}-apart") == []
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    assert not children.exists() or not any(
        "time.sleep(3600)" in Path(f"/proc/{child}/cmdline").read_text() for child in children.read_text().split()
    )


@LINUX
def test_a_grader_that_is_ended_takes_the_submission_with_it(tmp_path):
    (tmp_path / "a3.py").write_text(f"{stub('a3')}\nimport time\ntime.sleep(3600)\n", encoding="utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "minidet", "assignment", "grade", "a3", str(tmp_path)]
    environment = os.environ | {"TMPDIR": str(temporary)}
    grader = subprocess.Popen(command, cwd=ROOT.parent, stdout=subprocess.DEVNULL, env=environment)
    until = time.monotonic() + 60
    while not running(f"{temporary}/minidet-") and time.monotonic() < until:
        time.sleep(0.1)
    (folder,) = temporary.iterdir()
    grader.send_signal(signal.SIGTERM)
    assert grader.wait(60) == -signal.SIGTERM
    while (running(str(folder)) or folder.exists()) and time.monotonic() < until:
        time.sleep(0.1)
    assert running(str(folder)) == []
    assert not folder.exists()


def test_the_submissions_copy_of_the_package_holds_no_answers():
    """Neither reference nor checks nor mistakes lie where a submission's process can look."""
    link = Link(("a3.py", stub("a3").encode()))
    try:
        files = {path.relative_to(link.folder).as_posix() for path in link.folder.rglob("*.py")}
    finally:
        link.end()
    inside = {name for name in files if name.startswith("minidet/course/")}
    assert inside == {f"minidet/course/{name}.py" for name in ("__init__", "confine", "wire", "worker")}
    assert not any("reference" in name or "exercises" in name for name in files)


@pytest.mark.parametrize(
    "value",
    [
        None, True, -3, 10**30, 2.5, np.inf, "text", [1, (2.0, None)], np.zeros((0, 4)), np.float32(3), np.arange(6),
        np.ones((2, 3), bool), np.float32, load("a1").exercise("pyramid_anchors").checks[0].cases(None)[0].args[1],
    ],
    ids=lambda value: str(type(value).__name__),
)  # fmt: skip
def test_values_travel_unchanged(value):
    frame = wire.pack("result", [value])
    header, payload = wire.lengths(frame[: wire.START.size])
    rest = frame[wire.START.size :]
    (back,) = wire.unpack(rest[:header], rest[header:]).values()
    assert type(back) is type(value)
    np.testing.assert_equal(back, value)
    assert len(rest) == header + payload


@pytest.mark.parametrize(
    "tree",
    [
        {"array": ["<f8", [3]]}, {"array": ["O", [0]]}, {"array": ["<f8", [-1]]}, {"array": ["<f8", [2**61, 4]]}, [],
        {"config": ["AnchorConfig", {"sizes": []}]}, {"config": ["object", {}]}, {"named": ["x", 3, []]},
        {"what": 1}, {}, {"scalar": ["<f8"]}, {"tuple": 3}, {"type": "<f8; import os"},
    ],
    ids=str,
)  # fmt: skip
def test_damaged_values_are_refused(tree):
    with pytest.raises(wire.Unreadable):
        wire.Frame({"kind": "result", "values": [tree]}, b"12345678").values()


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(os, "fork"), reason="a system call filter of Linux")
def test_the_filter_lets_threads_through_and_nothing_else():
    """Run in a process of its own, since it cannot be undone."""
    code = textwrap.dedent("""
        import os, sys, threading
        from minidet.course import confine
        kept = confine.confine([])
        refused = []
        for name, call in {
            "fork": os.fork, "exec": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
            "signal": lambda: os.kill(os.getppid(), 0), "file": lambda: open("/etc/hostname"),
            "write": lambda: open("/tmp/minidet-test", "w"),
        }.items():
            try:
                call()
            except PermissionError:
                refused.append(name)
        done = []
        thread = threading.Thread(target=lambda: done.append(1))
        thread.start(); thread.join()
        os.kill(os.getpid(), 0)
        print(kept, refused, done)
    """)
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    ).stdout
    if told.startswith("()"):
        pytest.skip("this kernel offers neither")
    assert told.strip() == "('files', 'processes') ['fork', 'exec', 'signal', 'file', 'write'] [1]"


def test_jumps_of_the_filter_stay_inside_it():
    for column, machine in confine._MACHINES.values():
        program = confine.filter_program(column, machine, 1234)
        for place, (_, on_true, on_false, _) in enumerate(program):
            assert place + 1 + max(on_true, on_false) < len(program) or (on_true, on_false) == (0, 0)
        assert program[-1][0] == 0x06
