"""The part of YAML in which data.yaml files are written: names with text, numbers, lists and tables of these."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

_ITEM = re.compile(r"-(?:\s+|$)")
_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#'"\[\]{},][^#]*?)\s*:(?:\s+|$)""")
_PIECE = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,\[\]{}:'"]+|[\[\]{},:])""")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}

Line = tuple[int, str, int]  # indentation, content, number


def parse_yaml(text: str, as_written: Sequence[str] = ()) -> dict[str, Any]:
    """The content of a data.yaml file.

    Args:
        text: block and inline mappings and lists of plain or quoted text and numbers, with comments; no anchors, tags
            or references. Text over several lines is left out: its value is None.
        as_written: keys whose lists and tables hold text, whatever it looks like, such as ``007`` or ``true``.

    Returns:
        A dict of text, numbers, true, false, None, lists and dicts of these.

    Raises:
        ValueError: it is none, or a table has a key twice; the message names the line.

    >>> parse_yaml("train: images/train  # 12 of them\\nnames:\\n  0: cat\\n  1: 'big dog'")
    {'train': 'images/train', 'names': {0: 'cat', 1: 'big dog'}}
    """
    joined = _joined(_lines(text))
    if not joined:
        return {}
    value, rest = _block(joined, joined[0][0], _scalar, as_written)
    if rest or not isinstance(value, dict):
        number = (rest or joined)[0][2]
        raise ValueError(f"line {number} is not understood: wanted are lines of the form 'name: value'")
    return value


def _lines(text: str) -> list[Line]:
    """Lines that say something; a text over several lines (``name: |``) is left out."""
    lines: list[Line] = []
    left_out = -1  # lines that are indented further belong to such a text
    for number, raw in enumerate(text.splitlines(), start=1):
        indent = len(raw) - len(raw.lstrip())
        if left_out >= 0 and (indent > left_out or not raw.strip()):
            continue
        content, left_out = _without_comment(raw).strip(), -1
        if not content or content in ("---", "..."):
            continue
        if "\t" in raw[:indent]:
            raise ValueError(f"line {number} is indented with a tab: use spaces")
        if re.search(r":\s+[|>][-+0-9]*$", content):
            content, left_out = content.rstrip("|>-+0123456789").rstrip(), indent
        lines.append((indent, content, number))
    return lines


def _without_comment(line: str) -> str:
    """The line up to a # that is not inside quotes and follows a space."""
    quote = ""
    for i, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and (i == 0 or line[i - 1] in " [{,:-\t"):
            quote = letter
        elif letter == "#" and (i == 0 or line[i - 1].isspace()):
            return line[:i]
    return line


def _joined(lines: list[Line]) -> list[Line]:
    """Lines, those of an inline list that goes over several made one."""
    joined: list[Line] = []
    depth = 0
    for indent, content, number in lines:
        if depth:
            joined[-1] = (joined[-1][0], f"{joined[-1][1]} {content}", joined[-1][2])
        else:
            joined.append((indent, content, number))
        plain = re.sub(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'""", "", content)
        depth = max(0, depth + sum(map(plain.count, "[{")) - sum(map(plain.count, "]}")))
    return joined


def _block(
    lines: list[Line], indent: int, read: Callable[[str], Any], as_written: Sequence[str] = ()
) -> tuple[Any, list[Line]]:
    """The list or the mapping that begins at the first line, and the lines after it."""
    is_list = _ITEM.match(lines[0][1]) is not None
    items: list[Any] = []
    table: dict[Any, Any] = {}
    while lines and lines[0][0] == indent and (_ITEM.match(lines[0][1]) is not None) == is_list:
        _, content, number = lines[0]
        if is_list:
            items.append(_inline(_ITEM.sub("", content, count=1), number, read))
            lines = lines[1:]
            continue
        found = _KEY.match(content)
        if found is None:
            raise ValueError(f"line {number}, {content!r}, is not of the form 'name: value'")
        key, rest = _scalar(found[1]), content[found.end() :]
        if key in table:
            raise ValueError(f"line {number}: {key!r} stands there a second time: keep one of the two")
        lines = lines[1:]
        below = bool(lines) and (lines[0][0] > indent or (lines[0][0] == indent and bool(_ITEM.match(lines[0][1]))))
        inside = _text if key in as_written else read
        if not rest and below:
            table[key], lines = _block(lines, lines[0][0], inside)
        else:
            table[key] = _inline(rest, number, inside if rest[:1] in ("[", "{") else read)
    if lines and lines[0][0] > indent:
        raise ValueError(f"line {lines[0][2]}, {lines[0][1]!r}, is indented further than the line before it allows")
    return (items if is_list else table), lines


def _inline(text: str, number: int, read: Callable[[str], Any]) -> Any:
    """A value on a line: a list in brackets, a mapping in braces, or text."""
    if text[:1] in ("&", "*", "!", "`", "@", "%"):
        raise ValueError(f"line {number}: {text!r} is not understood here: write the value in quotes on one line")
    if text[:1] not in ("[", "{"):
        return read(text)
    pieces = [match[1].strip() for match in _PIECE.finditer(text)]
    value, rest = _flow([piece for piece in pieces if piece], number, read)
    if rest:
        raise ValueError(f"line {number}: {rest[0]!r} follows a list or table that has ended")
    return value


def _flow(pieces: list[str], number: int, read: Callable[[str], Any]) -> tuple[Any, list[str]]:
    """The first value in these pieces, and the pieces after it."""
    if not pieces:
        raise ValueError(f"line {number} ends inside a list or table: close it")
    if pieces[0] not in ("[", "{"):
        if pieces[0] in ("]", "}", ",", ":"):
            raise ValueError(f"line {number}: {pieces[0]!r} stands where a value is expected")
        return read(pieces[0]), pieces[1:]
    closing, pieces = {"[": "]", "{": "}"}[pieces[0]], pieces[1:]
    items: list[Any] = []
    table: dict[Any, Any] = {}
    while pieces and pieces[0] != closing:
        value, pieces = _flow(pieces, number, _scalar if closing == "}" else read)
        if closing == "}":
            if pieces[:1] != [":"] or isinstance(value, (list, dict)):
                raise ValueError(f"line {number}: {value!r} has no value: write 'name: value'")
            if value in table:
                raise ValueError(f"line {number}: {value!r} stands there a second time: keep one of the two")
            table[value], pieces = _flow(pieces[1:], number, read)
        else:
            items.append(value)
        if pieces[:1] == [","]:
            pieces = pieces[1:]
        elif pieces[:1] != [closing]:
            raise ValueError(f"line {number}: a comma or {closing} is missing")
    if not pieces:
        raise ValueError(f"line {number}: {closing} is missing")
    return (items if closing == "]" else table), pieces[1:]


def _text(text: str) -> str:
    """Text without its quotes."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    return text


def _scalar(text: str) -> Any:
    """Text, a number or a word for true, false and nothing."""
    text = text.strip()
    if text[:1] in ("'", '"'):
        return _text(text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    try:
        return float(text) if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) else text
    except ValueError:
        return text
