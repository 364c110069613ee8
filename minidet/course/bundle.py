"""An autograder for Gradescope: one zip with minidet's source, which needs Python 3.11 and NumPy."""

from __future__ import annotations

import zipfile
from pathlib import Path

import minidet
from minidet.course.assignments import Assignment, Points

NUMPY = "2.4.6"
"""The version that the container installs: the type of a result depends on NumPy's rules for mixed types."""
SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, when the container is built: a Python of 3.11 or later, and NumPy.
set -euo pipefail
fit() {{ command -v "$1" > /dev/null && "$1" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))'; }}
for python in python3 python3.14 python3.13 python3.12 python3.11; do fit "$python" && break; done
if ! fit "$python"; then
    apt-get update
    apt-get install -y python3.11 python3.11-venv
    python=python3.11
fi
"$python" -m venv /autograder/venv
/autograder/venv/bin/python -m pip install 'numpy=={numpy}'
"""
RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for each submission. Whatever happens, there is a results.json at the end.
set -uo pipefail
root="${{AUTOGRADER:-/autograder}}"
python="$root/venv/bin/python"
results="$root/results/results.json"
mkdir -p "$root/results"
cd "$root/source"
# What only the grader is to read and write; a submission runs as nobody, without network, where the container lets it.
options=()
if [ "$(id -u)" = 0 ]; then
    chmod -R go-rwx "$root/source" "$root/submission" "$root/results"
    "$python" -c 'import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.execv(sys.executable, [sys.executable, "-c", "import numpy"])' 2> /dev/null && options+=(--user 65534)
fi
apart=()
unshare --net true 2> /dev/null && apart=(unshare --net)
"${{apart[@]}}" "$python" -m minidet assignment grade {arguments} "${{options[@]}}" "$root/submission" \\
    --format gradescope --visibility {visibility} --out "$results"
if [ ! -s "$results" ]; then
    echo '{{"score": 0, "output": "The autograder itself failed; please tell your instructor."}}' > "$results"
fi
"""

SOURCES = (
    "__init__.py", "__main__.py", "structures.py", "files.py", "wording.py", "checks/*.py", "cli/*.py", "config/*.py",
    "reference/*.py", "course/**/*.py",
)  # fmt: skip
"""What grading needs of the package."""
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""The same bundle twice is the same file."""


def write_bundle(
    assignment: Assignment, out: Path, points: Points, variant: int = 0, seed: int = 0, visibility: str = "visible"
) -> Path:
    """Write the zip that is uploaded as an autograder; the same arguments give the same bytes.

    Args:
        points: of the functions.
        variant, seed: as in `minidet.course.grading.grade_submission`; students must not know the seed.
        visibility: of the results, one of `minidet.course.report.VISIBILITIES`.
    """
    root = Path(minidet.__file__).resolve().parent
    arguments = f"{assignment.name} --variant {variant} --seed {seed} --points points.toml"
    files = {"setup.sh": SETUP.format(numpy=NUMPY)}
    files["run_autograder"] = RUN.format(arguments=arguments, visibility=visibility)
    files["points.toml"] = points.toml(assignment)
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
