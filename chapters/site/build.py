"""Build the web site: the book, the map of the paper, the experiments, the pages to play with, an API reference.

    python -m chapters.site.build [--out runs/site] [--pages-only]

The chapters are shown with the outputs that they were committed with; nothing is executed. --pages-only writes the
pages to play with alone, which needs no Sphinx and takes a second. The site opens from the file system and needs no
network.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from chapters.site import glass, photographs, runnable
from minidet.experiments import results, tables
from minidet.files import write_bytes, write_text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLAY = HERE / "play"
DEFAULT_OUT = ROOT / "runs" / "site"
GUESSED = ("1a", "1b", "1c", "1d", "3")
"""The tables of the page of bets: those of the paper in which each row is an experiment."""


def guess_data(runs: results.Results | None = None) -> str:
    """The tables of the page of bets as JavaScript.

    Args:
        runs: our results; None for the committed ones.

    Returns:
        A script that defines `tables`: the paper's AP and the mean, the deviation and the seeds of ours by row.
    """
    runs = runs or results.load_results()
    found = []
    for name in GUESSED:
        table = tables.TABLES[name]
        rows = []
        for row in table.rows:
            if row.published:
                ours = runs.score(row.name)
                rows.append({
                    "keys": row.keys,
                    "paper": row.published[0],
                    "ours": ours and ours.mean,
                    "deviation": ours.deviation if ours and ours.n > 1 else None,
                    "seeds": ours.n if ours else 0,
                })  # fmt: skip
        order = tables.correlation(table.rows, runs)
        note = " ".join(part for part in (table.note, f"Ours: {order}." if order else "") if part)
        found.append({"title": table.title, "keys": table.keys, "rows": rows, "note": note})
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
    return f"// Written by chapters/site/build.py from minidet.experiments.\nconst tables = {text};\n"


def pages(out: Path) -> Path:
    """Write the pages to play with.

    Args:
        out: the folder of the site.

    Returns:
        Their folder below it.
    """
    folder = out / "play"
    shutil.copytree(PLAY, folder, dirs_exist_ok=True)
    write_text(folder / "guess_data.js", guess_data())
    write_text(folder / "glass_data.js", glass.script())
    photographs.write(folder)
    runnable.write(folder)
    return folder


def site(out: Path) -> None:
    """Build the whole site; a warning is an error.

    Args:
        out: the folder of the site.

    Raises:
        SystemExit: Sphinx is not installed, or the build failed.
    """
    try:
        from sphinx.cmd.build import build_main
    except ImportError as error:
        raise SystemExit("Sphinx is not installed: pip install 'minidet[site]', or --pages-only") from error
    from chapters.site import listings, sources

    with tempfile.TemporaryDirectory(prefix="site") as folder:
        source = Path(folder) / "source"
        shown = sources.assemble(source)
        doctrees = str(Path(folder) / "doctrees")
        options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(HERE), "-d", doctrees]
        failed = build_main([*options, str(source), str(out)])
    if failed:
        raise SystemExit(failed)
    summary(out)
    stills(out / "_static" / "stills")
    mathjax(out / "_static" / "mathjax")
    listings.write(out, shown)
    pages(out)


def summary(out: Path) -> None:
    """Copy the summary of the experiments, and the runs that it leads to.

    Args:
        out: folder of the site.
    """
    text = (ROOT / "figures" / "results" / "summary.html").read_text(encoding="utf-8")
    runs = ROOT / "minidet" / "experiments" / "runs"
    (out / "summary.html").write_text(text.replace("../../minidet/experiments/runs/", "runs/"), encoding="utf-8")
    (out / "runs").mkdir(exist_ok=True)
    for run in runs.glob("*.json"):  # without the spaces, of which all runs together have 200 kB
        shorter = json.dumps(json.loads(run.read_bytes()), ensure_ascii=False, separators=(",", ":"))
        (out / "runs" / run.name).write_text(shorter, encoding="utf-8")


def stills(folder: Path) -> None:
    """Copy the last frame of each animation, which site.js shows in its place where nothing is to move.

    Args:
        folder: where site.js looks for them.
    """
    for path in sorted((ROOT / "figures" / "results" / "animations").glob("*.png")):
        write_bytes(folder / path.name, path.read_bytes())


def mathjax(folder: Path) -> None:
    """Copy what formulas need from the package that holds MathJax: one script, its fonts, its licence.

    Args:
        folder: where the pages look for it.
    """
    installed = resources.files("mathjax") / "static" / "mathjax"
    with resources.as_file(installed) as whole:
        fonts = Path("output") / "chtml" / "fonts" / "woff-v2"
        shutil.copytree(whole / "es5" / fonts, folder / fonts, dirs_exist_ok=True)
        shutil.copy(whole / "es5" / "tex-chtml.js", folder)
        shutil.copy(whole / "LICENSE", folder)


def main(arguments: list[str] | None = None) -> int:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder (default: runs/site)")
    parser.add_argument("--pages-only", action="store_true", help="only the pages to play with")
    options = parser.parse_args(arguments)
    if options.pages_only:
        print(pages(options.out) / "index.html")
    else:
        site(options.out)
        print(options.out / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
