"""The figures' scripts: they draw, their checks hold, and the same figure gives the same file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from figures import cells, figure1, figure2, figure5, figure6, figure7, lockstep, minutes
from minidet import reference
from minidet.experiments import published
from minidet.plotting import GAMMA_COLOURS, STYLE, draw_boxes, draw_image, new_figure, save_figure

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FIGURES = {"cells": cells, "figure1": figure1, "figure5": figure5, "figure6": figure6, "lockstep": lockstep,
           "minutes": minutes}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_a_script_writes_both_formats_says_where_and_the_same_again(name, tmp_path, capsys):
    once, again = tmp_path / "once", tmp_path / "again"
    paths = FIGURES[name].main(["--out", str(once)])
    assert sorted(path.name for path in once.iterdir()) == [f"{name}.png", f"{name}.svg"]
    assert capsys.readouterr().out.split() == [str(path) for path in paths]
    with Image.open(once / f"{name}.png") as image:
        assert min(image.size) > 600
    svg = (once / f"{name}.svg").read_text()
    assert "<svg" in svg
    assert not re.search(r"<dc:date>|/home/|/tmp/", svg)
    for first, second in zip(paths, FIGURES[name].main(["--out", str(again)]), strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_a_script_runs_from_a_checkout(tmp_path):
    command = [sys.executable, "-m", "figures.figure5", "--out", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "figure5.png" in result.stdout


def test_figure_1_shows_the_worked_example():
    """10,000 background boxes at 80 % certainty: 2,231 under cross entropy, 0.223 each; 0.0089 each under FL."""
    numbers = figure1.check_the_text()
    assert numbers["background_ce"] == pytest.approx(-10_000 * np.log(0.8), rel=1e-12)
    assert numbers["easy_fl"] == pytest.approx(-(0.2**2) * np.log(0.8), rel=1e-12)
    assert numbers["objects_ce"] == 30
    assert numbers["objects_fl"] == pytest.approx(30 * (1 - np.exp(-3)) ** 2, rel=1e-12)


def test_figure_1_draws_the_loss():
    axes = figure1.draw().axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert len(lines) == 5
    p, loss = lines["γ = 2"].get_data()
    np.testing.assert_allclose(loss, -((1 - p) ** 2) * np.log(p), rtol=1e-9)
    assert lines["γ = 2"].get_color() == GAMMA_COLOURS[2.0]


@pytest.mark.parametrize("dpi", [110, 150])  # of the page of results, and of the files
@pytest.mark.parametrize("module", [figure1, figure2, figure7, minutes], ids=lambda module: module.__name__)
def test_no_text_leaves_the_figure(module, dpi):
    with matplotlib.rc_context(STYLE):
        figure = module.draw()
        figure.set_dpi(dpi)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        right, top = figure.bbox.size
        for ax in figure.axes:
            legend = ax.get_legend()
            texts = [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts, *(legend.get_texts() if legend else [])]
            for text in texts:
                box = text.get_window_extent(canvas.get_renderer())
                assert box.x0 >= 0, text.get_text()
                assert box.x1 <= right, text.get_text()
                assert box.y0 >= 0, text.get_text()
                assert box.y1 <= top, text.get_text()


def test_figure_2_draws_what_is_published():
    ours, theirs = figure2.draw().axes
    texts = [text.get_text() for text in theirs.texts]
    assert "YOLOv2: 21.6 AP, 25 ms" in texts
    assert any(text.startswith("source: the paper's") for text in texts)
    assert {"paper, 50 layers", "paper, 101 layers"} <= {text.get_text() for text in ours.texts}
    lines = {line.get_label(): line for line in theirs.get_lines()}
    for depth in (50, 101):
        rows = [row for (of, _), row in published.TABLE_1E.items() if of == depth]
        assert len(rows) == 5
        np.testing.assert_array_equal(
            lines[f"RetinaNet-{depth}"].get_xydata(), [(row.milliseconds, row.ap) for row in rows]
        )
    others = lines["others"].get_xydata()
    np.testing.assert_array_equal(others, [(row.milliseconds, row.ap) for row in published.FIGURE_2.values()])
    ours = np.array([(row.milliseconds, row.ap) for row in published.TABLE_1E.values()])
    for milliseconds, ap in others[others[:, 0] >= ours[:, 0].min()]:  # "the upper envelope of all current detectors"
        assert ap < ours[ours[:, 0] <= milliseconds, 1].max()


def test_figures_5_and_6_belong_together():
    """The second is the slope of the first, curve by curve."""
    values, slopes = figure5.draw().axes[0].get_lines(), figure6.draw().axes[0].get_lines()
    for value, slope in zip(values[:4], slopes[:4], strict=True):
        assert value.get_label() == slope.get_label()
        x, y = value.get_data()
        np.testing.assert_allclose(np.gradient(y, x)[1:-1], slope.get_data()[1][1:-1], atol=1e-4)


def test_a_wrong_gradient_is_found_out(monkeypatch):
    monkeypatch.setattr(
        reference, "focal_loss_grad", lambda *arguments: 1.001 * reference.cross_entropy_grad(*arguments[:2])
    )
    with pytest.raises(AssertionError):
        figure6.check_appendix_b(np.linspace(-5, 5, 11))


def test_images_and_boxes_are_drawn_in_pixels(tmp_path):
    figure, axes = new_figure(4, 3)
    draw_image(axes[0, 0], np.zeros((30, 40, 3), np.uint8))
    draw_boxes(axes[0, 0], np.array([[5.0, 6, 15, 26]]), ["disk"])
    draw_boxes(axes[0, 0], np.zeros((0, 4)))
    assert axes[0, 0].get_xlim() == (0, 40)
    assert axes[0, 0].get_ylim() == (30, 0)
    box = axes[0, 0].patches[0]
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (5, 6, 10, 20)
    assert [path.name for path in save_figure(figure, tmp_path / "new", "picture", ("png",))] == ["picture.png"]
