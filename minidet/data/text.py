"""Text as other tools write it: encodings, marks, XML, JSON, and the words for true and false."""

from __future__ import annotations

import codecs
import json
import math
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
"""What a file may begin with; UTF-32's mark begins with UTF-16's, so it is looked for first."""

_WIDER = {
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
    "iso8859-1": "cp1252", "ascii": "utf-8",
}  # fmt: skip
"""Encodings that tools name, and the larger one that they write."""

_DECLARED = re.compile(rb"""^<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_FALSE = {"", "0", "false", "no", "n", "f", "off", "none", "null", "unspecified"}
_TRUE = {"1", "true", "yes", "y", "t", "on"}


def decoded(data: bytes, declared: str = "") -> str:
    """The text of a file.

    Args:
        data: its bytes. A byte-order mark, of UTF-8, UTF-16 or UTF-32, decides; then what is declared; then UTF-8.
        declared: the encoding that the file names, if any. Where that does not fit, UTF-8 is tried.

    Returns:
        The text, without the mark.

    Raises:
        ValueError: it is in no encoding that is named or marked, nor UTF-8.

    >>> decoded(b"\\xef\\xbb\\xbfcat"), decoded(b"\\xc3\\xa8"), decoded("猫".encode("gbk"), "gb2312")
    ('cat', 'è', '猫')
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _decode(data[len(mark) :], encoding)
    if b"\0" in data[:4]:  # UTF-16 without a mark: every other byte of the first characters is 0
        return _decode(data, "utf-16-be" if data[:1] == b"\0" else "utf-16-le")
    if declared:
        try:
            name = codecs.lookup(declared).name
            if not name.startswith(("utf-16", "utf-32")):  # it would have a mark, or zeros
                return data.decode(_WIDER.get(name, name))
        except (LookupError, UnicodeError):
            pass
    return _decode(data, "utf-8")


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file in UTF-8 or with a byte-order mark.

    Args:
        path: the file.

    Raises:
        ValueError: it cannot be read or decoded; the message names the file.
    """
    try:
        return decoded(Path(path).read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file.

    Args:
        path: the file, in UTF-8 or with a byte-order mark.

    Raises:
        ValueError: it cannot be read or is not JSON; the message names the file.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        deep = "its lists and objects are nested too deeply" if isinstance(error, RecursionError) else str(error)
        problem = deep if text.strip() else "it is empty"
        raise ValueError(f"{path} is not JSON ({problem}): repair the file, or write it anew") from error


def parse_xml(data: bytes) -> ElementTree.Element:
    """The root of an XML document without entities of its own.

    Args:
        data: the file's bytes, in any encoding that Python knows and that the document declares or marks.

    Raises:
        ValueError: it is empty, not XML, or has a DOCTYPE, in which a few lines could unpack to gigabytes.
    """
    data = data.strip(b" \t\r\n") if b"\0" not in data else data
    if not data:
        raise ValueError("is empty")
    named = _DECLARED.match(data)
    text = decoded(data, named[1].decode("ascii") if named else "").strip("\ufeff \t\r\n\0")
    if "<!DOCTYPE" in text.upper():
        raise ValueError("has a DOCTYPE, which annotations do not need")
    try:
        return ElementTree.fromstring(re.sub(r"^<\?xml.*?\?>", "", text, flags=re.DOTALL))
    except ElementTree.ParseError as error:
        raise ValueError(f"is not XML ({error})") from error


def truth(value: Any) -> bool:
    """Whether a flag of a file is set, however it is written.

    Args:
        value: true or false, a number (set unless 0), text such as "1", "0", "true", "False", "no", or None (not set).

    Raises:
        ValueError: it is none of these.

    >>> truth("0"), truth("1"), truth("False"), truth(1), truth(None)
    (False, True, False, True, False)
    """
    if value is None or isinstance(value, (bool, int)):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else ""
    if isinstance(value, str) and word in _TRUE | _FALSE:
        return word in _TRUE
    try:
        number = float(word or value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isnan(number):
        return number != 0
    raise ValueError(f"{value!r} is neither true nor false: write 1 or 0")


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise ValueError(f"is not {encoding.upper()} (byte {error.start} is {byte:#x}): save it as UTF-8") from error
