"""Tables 1 to 3 of the paper beside ours, as text.

python -m figures.tables 1b
python -m figures.tables --out FOLDER      # all of them, to FOLDER/tables.txt
"""

from __future__ import annotations

import argparse
from pathlib import Path

from minidet.experiments.results import load_results
from minidet.experiments.tables import NAMES, text
from minidet.files import write_text


def main(arguments: list[str] | None = None) -> list[Path]:
    """Print the tables named, or all; with --out, write them to tables.txt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TABLE", help=f"of {', '.join(NAMES)}; without any: all")
    parser.add_argument("--out", type=Path, help="folder for tables.txt")
    options = parser.parse_args(arguments)
    results = load_results()
    content = "\n\n".join(text(name, results) for name in options.names or NAMES)
    if options.out is None:
        print(content)
        return []
    path = write_text(options.out / "tables.txt", content + "\n")
    print(path)
    return [path]


if __name__ == "__main__":
    main()
