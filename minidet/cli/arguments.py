"""How the commands add their arguments to the parser, and the options that several of them share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that --help need not wait for it
    from minidet.config import RetinaNetConfig

RUN = "run_folder"
"""The name of the argument that names a run."""
RUNS = Path("runs")
"""Where commands write when they are not told where."""
PRESETS = ("tiny", "paper", "torchvision")
"""The detectors that have a name, see `preset`."""


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help that shows a default only where it says something, and in the usage that ``--model`` stands in for RUN."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says_nothing = action.default is None or action.default is False or action.default == []
        return action.help if says_nothing else super()._get_help_string(action)

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        text = super()._format_args(action, default_metavar)
        return f"[{text}]" if action.dest == RUN else text  # with nargs="?" RUN could be taken for the first IMAGE


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], text: str, more: str = ""
) -> argparse.ArgumentParser:
    """Add a command to a parser.

    Args:
        commands: what `add_subparsers` returned.
        name: the word on the command line.
        run: what is called with the parsed arguments.
        text: what the command does, for the list of commands; no full stop.
        more: further sentences for the command's own help.

    Returns:
        The command's parser, to which its arguments are added.
    """
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text}. {more}".strip(), formatter_class=Help
    )
    for kind in (None, Path):  # in all arguments without a type, and in all paths
        command.register("type", kind, from_home if kind is None else lambda text: Path(from_home(text)))
    command.set_defaults(run=run)
    return command


def from_home(text: str) -> str:
    """A path in which ``~`` stands for the home folder, as shells take it, but not in ``--out=~/x`` nor in quotes.

    Args:
        text: as it was given; ``./~`` is a folder of that name.
    """
    return os.path.expanduser(text)  # noqa: PTH111  Path's own fails where there is no such user


def preset(name: str, classes: int) -> RetinaNetConfig:
    """The detector of one of PRESETS for so many classes."""
    from minidet.config import RetinaNetConfig

    makers: dict[str, Callable[[int], RetinaNetConfig]] = {
        "tiny": RetinaNetConfig.tiny, "paper": RetinaNetConfig, "torchvision": RetinaNetConfig.torchvision,
    }  # fmt: skip
    return makers[name](classes)


def add_pixel_limit(command: argparse.ArgumentParser) -> None:
    """Add ``--max-pixels``, which `raise_pixel_limit` applies."""
    command.add_argument(
        "--max-pixels", type=int, metavar="N",
        help="open images of up to so many pixels (if not 89,478,485): for files that you trust, because a small file "
        "can unpack to fill all memory",
    )  # fmt: skip


def add_tiles(command: argparse.ArgumentParser) -> None:
    """Add ``--tiles``."""
    command.add_argument(
        "--tiles", type=int, metavar="PIXELS",
        help="for large images and small objects: look at tiles of this side too, each brought to the training's size, "
        "and merge what is found across them",
    )  # fmt: skip


def raise_pixel_limit(options: argparse.Namespace) -> None:
    """Let larger images be opened, here and in processes that are started from here, where that was asked for."""
    limit = getattr(options, "max_pixels", None)
    if limit is None:
        return
    from PIL import Image

    from minidet import checks
    from minidet.data.images import LIMIT

    Image.MAX_IMAGE_PIXELS = checks.integer("max_pixels", limit, low=1)
    os.environ[LIMIT] = str(limit)


def add_settings(command: argparse.ArgumentParser, more: str = "") -> None:
    """Add ``--set``, which `minidet.config.setting_changes` reads."""
    command.add_argument(
        "--set", action="append", default=[], metavar="SECTION.FIELD=VALUE",
        help="change a setting, any number of times: model.… (RetinaNetConfig: model.depth=18, "
        "model.anchors.scales=[1]), training.… (TrainingConfig: training.learning_rate=0.01, training.loss.gamma=0), "
        "data.… and val.… (options of the data sets: data.objects=[6,20]); VALUE is JSON or a plain word. An unknown "
        f"field is answered with the known ones.{more}",
    )  # fmt: skip
