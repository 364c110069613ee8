"""The command `minidet`; also `python -m minidet`.

Every command is a module of this package: `add` says which arguments it has, `run` does it. What a command needs beyond
its arguments is imported when it runs, so that ``--help`` is instant and a command works without what others need.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import minidet
from minidet.cli import assignment, data, detect, evaluate, experiments, export, inspect, train
from minidet.cli.arguments import raise_pixel_limit
from minidet.cli.runs import named_model_first

COMMANDS = (inspect, train, evaluate, detect, export, data, experiments, assignment)

RUN_COMMANDS = (["evaluate"], ["detect"], ["export"])
"""The first word of those that take a run or, by --model, a detector of the package."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    A ValueError, an unreadable file or a missing package is told in one line, without a traceback.

    Args:
        arguments: the words after `minidet`; None for those that the process was started with.

    Returns:
        The exit status: 0 done, 1 failed, 130 interrupted.

    Raises:
        SystemExit: wrong arguments (status 2), or an answer to --help or --version (status 0).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "0")  # waiting threads give their core to other programs, at no cost
    for name in ("stdout", "stderr"):  # None where it is closed: what is printed goes nowhere, and not to the other one
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  it stays open
    for stream in (sys.stdout, sys.stderr):  # on Windows a file would be written in an encoding without gamma
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # a file's name may not be UTF-8
    parser = argparse.ArgumentParser(
        prog="minidet", description="Focal loss and RetinaNet, from scratch. Each command explains itself with --help."
    )
    parser.add_argument("--version", action="version", version=f"minidet {minidet.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = parser.parse_args(named_model_first(words) if words[:1] in RUN_COMMANDS else words)
    try:
        raise_pixel_limit(options)
        options.run(options)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        print("minidet: this command needs PyTorch: pip install 'minidet[train]'", file=sys.stderr)
        return 1
    except UnicodeEncodeError as error:
        text = error.object[max(0, error.start - 30) : error.end + 10]
        print(f"minidet: {text!r} holds the name of a file that is not UTF-8: rename the file", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"minidet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("minidet: interrupted", file=sys.stderr)
        return 130
    return 0
