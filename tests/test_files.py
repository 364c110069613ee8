"""How files are written: in one step, and to where a path leads."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from minidet.files import write_bytes, write_json


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own there")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file.json").write_text("old")
    (tmp_path / "link.json").symlink_to("kept/file.json")
    (tmp_path / "second.json").symlink_to("link.json")
    (tmp_path / "new.json").symlink_to("kept/other/new.json")  # it leads to nothing yet
    for name, target in (("link.json", "file.json"), ("second.json", "file.json"), ("new.json", "other/new.json")):
        assert write_json(tmp_path / name, name) == tmp_path / name
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "kept" / target).read_text() == f'"{name}"\n'
        assert not (tmp_path / "kept" / target).is_symlink()
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.skipif(os.name == "nt", reason="it has neither pipes nor devices among its files")
def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    write_bytes(tmp_path / "pipe", b"through the pipe")
    reader.join(10)
    assert read == [b"through the pipe"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    (tmp_path / "null").symlink_to(os.devnull)
    write_bytes(tmp_path / "null", b"nowhere")
    assert (tmp_path / "null").is_symlink()
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)  # noqa: PTH116


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path):
    (tmp_path / "a.json").write_text("old")
    (tmp_path / "a.json").chmod(0o640)
    write_bytes(tmp_path / "a.json", b"new")
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640


def test_what_cannot_be_written_names_the_path(tmp_path):
    (tmp_path / "file").write_text("kept")
    for path in (tmp_path, tmp_path / "file/below.json", tmp_path / "file/deeper/below.json"):
        with pytest.raises(OSError, match="could not be written") as caught:
            write_bytes(path, b"new")
        assert str(path) in str(caught.value)
    assert (tmp_path / "file").read_text() == "kept"
