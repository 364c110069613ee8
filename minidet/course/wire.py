"""How values travel between the grader and a submission: JSON for what they are, raw bytes for what arrays hold.

Nothing is pickled and nothing is evaluated, so what a submission sends can be wrong but cannot do anything. A frame is
a header (JSON) and a payload (the arrays' bytes, one after the other); the header's ``values`` say how to put them
together again. Both processes use this file; the grader's side trusts nothing of what it reads.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from minidet.config import AnchorConfig, PostprocessConfig
from minidet.structures import Detections

MAGIC = b"mini"
START = struct.Struct(">4sQQ")
"""The first bytes of a frame: MAGIC, the lengths of header and payload."""
LONGEST_HEADER = 4 * 2**20
LONGEST_PAYLOAD = 16 * 2**20
"""Bytes. The largest right result of any exercise has less than 2 MB."""
CONFIGS: dict[str, type] = {"AnchorConfig": AnchorConfig, "PostprocessConfig": PostprocessConfig}
DTYPE = re.compile(r"[<>|][biuf](1|2|4|8|16)")
LONGEST_TEXT = 400
NOTHING = "(nothing)"
"""The name under which the grader's own process has a function that returns its first argument."""


class Unreadable(ValueError):
    """A frame that does not keep to this file."""


class TooLarge(ValueError):
    """A value that does not fit into a frame."""


class Named(tuple[Any, ...]):
    """A named tuple of a kind that is not known here."""

    title: str
    _fields: tuple[str, ...]


@dataclass(frozen=True)
class Other:
    """A value that is no number, text, array or sequence of them: what it was."""

    type: str
    text: str


class Callee(NamedTuple):
    """A function that is handed over: it is called by way of the grader."""

    name: str


class Frame(NamedTuple):
    header: dict[str, Any]
    payload: bytes

    def values(self) -> list[Any]:
        """What the frame carries.

        Raises:
            Unreadable: it is damaged, or somebody tried something.
        """
        try:
            trees, reader = self.header["values"], _Reader(self.payload)
            return [reader.value(tree) for tree in trees]
        except Unreadable:
            raise
        except (ValueError, TypeError, KeyError, RecursionError, MemoryError, OverflowError, AttributeError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from None


def pack(kind: str, values: Sequence[Any] = (), **header: Any) -> bytes:
    """A frame as bytes.

    Raises:
        TooLarge: the values have more bytes than a frame may have.
    """
    parts: list[bytes] = []
    trees = [_tree(value, parts) for value in values]
    return repack({**header, "kind": kind, "values": trees}, b"".join(parts))


def repack(header: dict[str, Any], payload: bytes) -> bytes:
    """A frame as bytes, of a header and a payload that fit together already."""
    text = json.dumps(header).encode("ascii")
    if len(text) > LONGEST_HEADER or len(payload) > LONGEST_PAYLOAD:
        raise TooLarge(f"{(len(text) + len(payload)) / 2**20:.0f} MB are too many: look at the shapes")
    return START.pack(MAGIC, len(text), len(payload)) + text + payload


def lengths(start: bytes) -> tuple[int, int]:
    """The lengths of header and payload, from a frame's first bytes."""
    magic, header, payload = START.unpack(start)
    if magic != MAGIC or header > LONGEST_HEADER or payload > LONGEST_PAYLOAD:
        raise Unreadable("something else than a result was written")
    return header, payload


def unpack(header: bytes, payload: bytes) -> Frame:
    try:
        content = json.loads(header)
    except (ValueError, RecursionError):
        raise Unreadable("the header is no JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise Unreadable("the header is no object with a kind")
    return Frame(content, payload)


def clean(text: Any, longest: int = LONGEST_TEXT) -> str:
    """A text that came from a submission, fit to be printed and written: one line, printable, of limited length."""
    line = " ".join(str(text)[: 4 * longest].split())
    return "".join(character if character.isprintable() else "?" for character in line)[:longest]


def _tree(value: Any, parts: list[bytes]) -> Any:
    """The JSON of a value; the bytes of its arrays go to `parts`."""
    if value is None or isinstance(value, (bool, str)) or type(value) in (int, float):
        return value if not isinstance(value, str) else clean(value)
    if isinstance(value, (np.ndarray, np.generic)) and DTYPE.fullmatch(value.dtype.str):
        if value.nbytes > LONGEST_PAYLOAD:
            raise TooLarge(f"an array of shape {value.shape} has {value.nbytes / 2**20:.0f} MB")
        parts.append(np.ascontiguousarray(value).tobytes())
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return {kind: [value.dtype.str, list(value.shape)]}
    if isinstance(value, Callee):
        return {"function": value.name}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        title = getattr(value, "title", type(value).__name__)
        return {"named": [str(title), [str(name) for name in value._fields], [_tree(part, parts) for part in value]]}
    if isinstance(value, (list, tuple)):
        return {"list" if isinstance(value, list) else "tuple": [_tree(part, parts) for part in value]}
    if is_dataclass(value) and type(value).__name__ in CONFIGS:
        content = {one.name: _tree(getattr(value, one.name), parts) for one in fields(value)}
        return {"config": [type(value).__name__, content]}
    if isinstance(value, type) and issubclass(value, np.generic) and DTYPE.fullmatch(np.dtype(value).str):
        return {"type": np.dtype(value).str}
    return {"other": [type(value).__name__, clean(repr(value))]}


class _Reader:
    """Takes the arrays' bytes from a payload, in order."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.place = 0

    def value(self, tree: Any) -> Any:
        if not isinstance(tree, dict):
            if isinstance(tree, list):
                raise Unreadable("a bare list")
            return clean(tree) if isinstance(tree, str) else tree
        ((kind, content),) = tree.items()
        if kind in ("array", "scalar"):
            array = self._array(*content)
            return array if kind == "array" else array.reshape(())[()]
        if kind in ("list", "tuple"):
            return (list if kind == "list" else tuple)(self._values(content))
        if kind == "named":
            return self._named(*content)
        if kind == "config":
            title, parts = content
            return CONFIGS[title](**{str(name): self.value(part) for name, part in parts.items()})
        if kind == "type":
            return self._dtype(content).type
        if kind == "function":
            return Callee(clean(content, 60))
        if kind == "other":
            title, text = content
            return Other(clean(title, 60), clean(text))
        raise Unreadable(f"a value of the unknown kind {kind!r}")

    def _values(self, trees: Any) -> Iterator[Any]:
        if not isinstance(trees, list):
            raise Unreadable("no list of values")
        return (self.value(tree) for tree in trees)

    def _dtype(self, text: Any) -> np.dtype:
        if not isinstance(text, str) or not DTYPE.fullmatch(text):
            raise Unreadable(f"no type of numbers: {text!r}")
        return np.dtype(text)

    def _array(self, dtype_text: Any, shape: Any) -> np.ndarray:
        dtype = self._dtype(dtype_text)
        if len(shape) > 32 or not all(type(n) is int and 0 <= n < 2**62 for n in shape):
            raise Unreadable("no shape")
        count = prod(shape)
        end = self.place + count * dtype.itemsize
        if end > len(self.payload):
            raise Unreadable("bytes are missing")
        array = np.frombuffer(self.payload, dtype, count, self.place) if count else np.zeros(0, dtype)
        self.place = end
        return array.reshape(shape).copy()

    def _named(self, title: Any, names: Any, trees: Any) -> Any:
        parts = tuple(self._values(trees))
        if title == "Detections" and tuple(names) == Detections._fields:
            return Detections(*parts)
        value = Named(parts)
        value.title, value._fields = clean(title, 60), tuple(clean(name, 60) for name in names)
        return value
