"""What students hand in, as learning platforms give it out: modules, notebooks, zip files, and folders of them.

Nothing is unpacked to disk and nothing is run here. A notebook's functions, imports and constants are taken as a
module; its other cells are left out, since they draw, print and try.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

LARGEST = 4 * 2**20
"""Bytes of one file."""
MOST = 2000
"""Files in a folder or zip file that are looked at."""
SUFFIXES = (".py", ".ipynb", ".zip")
CANVAS = re.compile(r"(?P<student>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<number>\d+)_(?P<file>.+)")
MOODLE = re.compile(r"(?P<student>.+)_(?P<id>\d+)_assignsubmission_(file|onlinetext)_?(?P<file>.*)")
KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
"""What is taken of a notebook."""


@dataclass(frozen=True)
class Source:
    """A module to grade."""

    text: bytes
    remark: str = ""
    """Where it comes from, unless that is the file that is asked for."""


@dataclass
class HandedIn:
    """One student's submission in a folder of them."""

    student: str
    """Name, as the platform writes it, or the file's."""
    paths: list[Path] = field(default_factory=list)
    number: str = ""
    """The platform's number of the student, or ""."""
    late: bool = False
    """Whether the platform says so in the file's name."""


def find_submissions(folder: Path) -> list[HandedIn]:
    """The submissions in a folder: its folders, modules, notebooks and zip files; a student's files are one of them.

    Raises:
        ValueError: there is no such folder, or it holds none.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of submissions")
    found: dict[str, HandedIn] = {}
    for path in sorted(folder.iterdir()):
        if path.name[0] in "._" or path.is_symlink() or not (path.is_dir() or path.suffix.lower() in SUFFIXES):
            continue
        match = CANVAS.fullmatch(path.name) or MOODLE.fullmatch(path.name)
        parts = match.groupdict() if match else {}
        student = parts.get("student") or (path.name if path.is_dir() else path.stem)
        key = f"{student} {parts.get('id', path.name)}"
        one = found.setdefault(key, HandedIn(student, number=parts.get("id", ""), late=bool(parts.get("late"))))
        one.paths.append(path)
    if not found:
        raise ValueError(f"{folder} holds no submissions: give a folder with one folder, module, notebook or zip each")
    return list(found.values())


def read_submission(paths: Path | Sequence[Path], name: str, functions: Sequence[str]) -> Source:
    """The module in a submission.

    Args:
        paths: a module, notebook, zip file or folder, or several.
        name: the assignment's; NAME.py is taken before other files.
        functions: what the module should define: of several files, the one that does.

    Raises:
        ValueError: there is none, or it cannot be told which one is meant; the text is for the student.
    """
    files: list[_File] = []
    for path in [paths] if isinstance(paths, Path) else paths:
        files += _files(path)
    modules = [file for file in files if file.name.lower().endswith(".py")]
    books = [file for file in files if file.name.lower().endswith(".ipynb")]
    exact = [file for file in modules if file.name == f"{name}.py"]
    if exact:
        return _module(min(exact, key=lambda file: (file.depth, file.path)), name)
    full = [file for file in modules if _defines(file.read(), functions)]
    if len(full) == 1 or (not full and len(modules) == 1):
        return _module((full or modules)[0], name)
    if full:
        listed = ", ".join(file.path for file in full[:4])
        raise ValueError(f"several modules define the functions ({listed}): name the one that counts {name}.py")
    taken = [(file, text) for file in books if _defines(text := notebook_source(file.read()), functions)]
    if len(taken) == 1:
        return Source(taken[0][1], f"taken from the notebook {taken[0][0].path}; {name}.py is expected")
    if len(taken) > 1:
        raise ValueError(f"there is no {name}.py, and several notebooks: hand in {name}.py")
    if books:
        raise ValueError(f"there is no {name}.py, and the notebook defines none of the functions: hand in {name}.py")
    there = ", ".join(file.path for file in files[:4]) or "nothing"
    raise ValueError(f"there is no {name}.py (but {there}): hand in a module of this name")


@dataclass(frozen=True)
class _File:
    path: str
    size: int
    content: Callable[[], bytes]

    def read(self) -> bytes:
        """Its bytes; the size that a zip file tells may be a lie, so what comes is measured too."""
        content = self.content() if self.size <= LARGEST else b""
        if max(self.size, len(content)) > LARGEST:
            raise ValueError(f"{self.path} has more than {LARGEST / 2**20:.0f} MB")
        return content

    @property
    def name(self) -> str:
        """The file's name, without what a platform put before it."""
        name = PurePosixPath(self.path).name
        match = CANVAS.fullmatch(name) or MOODLE.fullmatch(name)
        name = (match and match["file"]) or name
        return re.sub(r"( \(\d+\)|-\d+)(?=\.[^.]+$)", "", name)

    @property
    def depth(self) -> int:
        return len(PurePosixPath(self.path).parts)


def _files(path: Path) -> Iterator[_File]:
    """The files of a submission, those in folders and zip files too."""
    if path.is_dir():
        within = sorted(one for one in path.rglob("*") if one.is_file() and not one.is_symlink())
        found = [(one.relative_to(path), one) for one in within[:MOST]]
    elif path.is_file():
        found = [(Path(path.name), path)]
    else:
        raise ValueError(f"{path} does not exist")
    for inner, one in found:
        if any(part[0] in "._" and part != "__init__.py" for part in inner.parts[:-1]) or inner.name[0] in "._":
            continue
        file = _File(inner.as_posix(), one.stat().st_size, one.read_bytes)
        yield from _zipped(file) if inner.suffix.lower() == ".zip" else [file]


def _zipped(file: _File, depth: int = 0) -> Iterator[_File]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(file.read()))
    except zipfile.BadZipFile:
        raise ValueError(f"{file.path} is no zip file, or a damaged one") from None
    for entry in archive.infolist()[:MOST]:
        if entry.is_dir() or any(part[0] in "._" for part in PurePosixPath(entry.filename).parts):
            continue
        inner = _File(entry.filename, entry.file_size, partial(_unzipped, archive, entry))
        again = entry.filename.lower().endswith(".zip") and depth == 0
        yield from _zipped(inner, depth + 1) if again else [inner]


def _unzipped(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(entry) as file:
            return file.read(LARGEST + 1)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise ValueError(f"{entry.filename} cannot be unpacked: {error}") from None


def _module(file: _File, name: str) -> Source:
    return Source(file.read(), "" if file.name == f"{name}.py" else f"taken from {file.path}; {name}.py is expected")


def _defines(text: bytes, functions: Sequence[str]) -> bool:
    """Whether a module defines one of the functions."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        decoded = text.decode("utf-8", "replace")
        return any(re.search(rf"^def {name}\b", decoded, re.MULTILINE) for name in functions)
    return any(isinstance(node, ast.FunctionDef) and node.name in functions for node in tree.body)


def notebook_source(content: bytes) -> bytes:
    """The functions, imports and constants of a notebook's code cells, as a module.

    Raises:
        ValueError: it is no notebook.
    """
    try:
        cells = json.loads(content)["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("the notebook cannot be read: save it again, or hand in a module") from None
    parts = []
    for text in texts:
        lines = [line for line in text.splitlines() if not line.lstrip().startswith(("%", "!", "?"))]
        try:
            tree = ast.parse("\n".join(lines))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            parts += (
                lines if any(line.startswith("def ") for line in lines) else []
            )  # the error is the student's to see
            continue
        for node in tree.body:
            if isinstance(node, KEPT):
                first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
                parts += lines[first - 1 : node.end_lineno]
    future = [line for line in parts if line.startswith("from __future__")]
    return "\n".join([*future, *(line for line in parts if line not in future), ""]).encode()
