"""`python -m figures`, the main job."""

from __future__ import annotations

import pytest

from figures.__main__ import main as reproduce
from minidet.config import RetinaNetConfig

pytestmark = pytest.mark.slow


def test_reproduce_trains_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("figures.__main__.FIGURES", ())
    tiny = RetinaNetConfig.tiny
    monkeypatch.setattr(RetinaNetConfig, "tiny", lambda classes: tiny(classes, head_convs=0))
    words = ["--steps", "2", "--images", "2", "--out", str(tmp_path)]
    assert reproduce(words) == 0
    assert "AP50" in capsys.readouterr().out
    before = (tmp_path / "detector_2/metrics.jsonl").read_bytes()
    assert reproduce(words) == 0
    assert (tmp_path / "detector_2/metrics.jsonl").read_bytes() == before
    assert reproduce([words[0], "0", *words[2:]]) == 1
    assert "iterations = 0 must be >= 1" in capsys.readouterr().err
