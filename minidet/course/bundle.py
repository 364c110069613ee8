"""An autograder for Gradescope: one zip with minidet's source, which needs Python 3.11 and NumPy."""

from __future__ import annotations

import zipfile
from pathlib import Path

import minidet
from minidet.course.assignments import Assignment, Points

SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, when the container is built: a Python of 3.11 or later, and NumPy.
set -euo pipefail
fit() { command -v "$1" > /dev/null && "$1" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))'; }
for python in python3 python3.14 python3.13 python3.12 python3.11; do fit "$python" && break; done
if ! fit "$python"; then
    apt-get update
    apt-get install -y python3.11 python3.11-venv
    python=python3.11
fi
"$python" -m venv /autograder/venv
/autograder/venv/bin/python -m pip install 'numpy>=1.26'
"""

RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for each submission.
set -euo pipefail
root="${{AUTOGRADER:-/autograder}}"
mkdir -p "$root/results"
cd "$root/source"
"$root/venv/bin/python" -m minidet assignment grade {arguments} "$root/submission" \\
    --format gradescope --out "$root/results/results.json"
"""

SOURCES = (
    "__init__.py", "__main__.py", "structures.py", "files.py", "checks/*.py", "cli/*.py", "config/*.py",
    "reference/*.py", "course/**/*.py",
)  # fmt: skip
"""What grading needs of the package."""
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""The same bundle twice is the same file."""


def write_bundle(assignment: Assignment, out: Path, points: Points, variant: int = 0, seed: int = 0) -> Path:
    """Write the zip that is uploaded as an autograder; the same arguments give the same bytes."""
    root = Path(minidet.__file__).resolve().parent
    files = {"setup.sh": SETUP}
    arguments = f"{assignment.name} --variant {variant} --seed {seed} --points points.toml"
    files["run_autograder"] = RUN.format(arguments=arguments)
    worth = assignment.with_points(points.points)
    lines = [f"partial = {str(points.partial).lower()}", f"[{assignment.name}]"]
    files["points.toml"] = "\n".join([*lines, *(f'"{name}" = {value:g}' for name, value in worth.items())]) + "\n"
    for pattern in SOURCES:
        for path in root.glob(pattern):
            files[f"minidet/{path.relative_to(root).as_posix()}"] = path.read_text(encoding="utf-8")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if name in ("setup.sh", "run_autograder") else 0o100644) << 16
            entry.create_system = 3
            archive.writestr(entry, files[name])
    return temporary.replace(out)
