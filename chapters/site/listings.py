"""Pages that show the files of the repository, with numbered lines that can be linked to."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from minidet.files import write_text

ROOT = Path(__file__).resolve().parents[2]
STYLES = {"light": "friendly", "dark": "github-dark"}
"""Pygments' styles, the same as in conf.py."""
PLAIN = re.compile(r'<span class="[npw]">([^<]*)</span>')
"""Names, punctuation and spaces, which have the colour of the text in both styles: a third of a page without use."""
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$name</title>
<link rel="stylesheet" href="${up}play/play.css">
<link rel="stylesheet" href="${up}files/code.css">
</head>
<body>
<header><a href="${up}index.html">The book</a> <a href="${up}PAPER.html">The paper's map</a></header>
<main>
<h1>$name</h1>
<div class="wide card" tabindex="0" role="region" aria-label="$name">$body</div>
</main>
</body>
</html>
""")


def address(path: Path, text: str = "") -> str:
    """Where a file is shown, from the top of the site.

    Args:
        path: relative to the repository.
        text: of the link; where it is a name in backquotes that the file defines, the link leads to that line.
    """
    name = text.strip("`").split(".")[-1]
    line = _lines(path).get(name) if text.startswith("`") else None
    return f"files/{path.as_posix()}.html" + (f"#line-{line}" if line else "")


def write(out: Path, shown: set[Path]) -> None:
    """Write the pages.

    Args:
        out: the folder of the site.
        shown: files and folders, relative to the repository.
    """
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import TextLexer, get_lexer_for_filename
    from pygments.util import ClassNotFound

    styles = [HtmlFormatter(style=style).get_style_defs(".highlight") for style in STYLES.values()]
    dark = f"@media (prefers-color-scheme: dark) {{\n{styles[1]}\n}}"
    write_text(out / "files" / "code.css", f"{styles[0]}\n{dark}\nh1 {{ overflow-wrap: anywhere; }}\n")
    formatter = HtmlFormatter(linenos="inline", lineanchors="line", wrapcode=True)
    for path in shown:
        whole = ROOT / path
        if whole.is_dir():
            names = sorted(entry.name for entry in whole.iterdir() if entry.name[0] not in "._")
            body = f"<ul>{''.join(f'<li>{escape(name)}</li>' for name in names)}</ul>"
        elif path.suffix in (".png", ".gif", ".jpg"):
            picture = b64encode(whole.read_bytes()).decode()
            body = f'<img alt="{escape(path.name)}" style="max-width: 100%" src="data:image;base64,{picture}">'
        else:
            try:
                lexer = get_lexer_for_filename(path.name)
            except ClassNotFound:
                lexer = TextLexer()
            body = PLAIN.sub(r"\1", highlight(whole.read_text(encoding="utf-8"), lexer, formatter))
        place = f"files/{path.as_posix()}.html"
        page = PAGE.substitute(name=escape(path.as_posix()), up="../" * place.count("/"), body=body)
        write_text(out / place, page)


@cache
def _lines(path: Path) -> dict[str, int]:
    """The line in which each function, class and constant of a Python file is defined."""
    if path.suffix != ".py":
        return {}
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    found: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if defined := re.match(r"\s*(?:def|class) (\w+)|(\w+)(?:: [^=]+)? = ", line):
            found.setdefault(defined[1] or defined[2], number)
    return found
