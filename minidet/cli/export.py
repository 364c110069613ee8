"""`minidet export`: a finished run in the form in which other programs take it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minidet.cli.arguments import add_command
from minidet.cli.outputs import check_outputs
from minidet.cli.runs import FILES, add_run, load_run


def add(commands: Any) -> None:
    """Add the command and its arguments."""
    command = add_command(
        commands, "export", run, "write a finished run as a file for other programs: ONNX, torch.export, plain arrays",
        "The program in ONNX or torch.export takes an image of one size, (1, 3, H, W) float32 in 0 … 255, and gives "
        "the boxes (N, 4) and the scores (N, K) of all anchors; what overlaps is left to be suppressed. A file "
        "beside it (.json) holds its sizes, thresholds and classes.",
    )  # fmt: skip
    add_run(command)
    command.add_argument("--onnx", type=Path, metavar="FILE", help="write ONNX (pip install 'minidet[export]')")
    command.add_argument("--torch", type=Path, metavar="FILE", help="write a program of torch.export (.pt2)")
    command.add_argument(
        "--npz", type=Path, metavar="FILE",
        help="write settings and weights as plain arrays in half the bytes, which detect, evaluate, export and train "
        "--weights take in place of a run",
    )  # fmt: skip
    command.add_argument(
        "--height", type=int, metavar="PIXELS", help="of the network's input (if not the shorter side of the training)"
    )
    command.add_argument(
        "--width", type=int, metavar="PIXELS", help="of the network's input (if not the shorter side of the training)"
    )


def run(options: argparse.Namespace) -> None:
    """Write what was asked for, and say where."""
    from minidet.pytorch.archive import save_detector
    from minidet.pytorch.export import export_onnx, export_torch

    outputs = [options.onnx, options.torch, options.npz]
    if not any(outputs):
        raise ValueError("say what to write: --onnx FILE, --torch FILE or --npz FILE")
    described = [path.with_suffix(".json") for path in (options.onnx, options.torch) if path]
    kept = [options.run_folder] if options.run_folder.is_file() else [options.run_folder / name for name in FILES]
    check_outputs(outputs + described, files=kept)
    model, settings = load_run(options.run_folder, "pytorch", options.best)
    side = settings.training.resize.shorter_side
    size = (options.height or side, options.width or side)
    if options.onnx:
        print(f"wrote {export_onnx(model.cpu(), size, options.onnx, settings.categories)}")
    if options.torch:
        print(f"wrote {export_torch(model.cpu(), size, options.torch, settings.categories)}")
    if options.npz:
        print(f"wrote {save_detector(options.npz, model, settings)}: {options.npz.stat().st_size:,} bytes")
