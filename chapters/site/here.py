"""Runs a chapter's cells in the reader's browser, inside Pyodide; run.js calls it. Needs nothing but Matplotlib.

A cell's last expression is shown as a notebook would show it: pictures, HTML, text. Magics are left out, and what the
cells import of IPython is made here.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import linecache
import sys
import traceback
import types
from typing import Any

_outputs: list[list[str]] = []
_namespace: dict[str, Any] = {"__name__": "__main__"}


def run(source: str) -> str:
    """Run a cell in the namespace of those before it.

    Args:
        source: its code.

    Returns:
        What it shows, as JSON: a list of [kind, text], kind being "text", "html", "png" (base64) or "error".
    """
    _outputs.clear()
    code = "\n".join("" if line.startswith(("%", "!")) else line for line in source.split("\n"))
    name = f"<cell {len(linecache.cache)}>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)  # inspect.getsource looks there
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            _execute(code, name)
            _figures()
    except BaseException:  # noqa: BLE001  whatever a cell raises belongs on the page, SystemExit included
        _outputs.append(["error", traceback.format_exc()])
    if printed.getvalue():
        _outputs.insert(0, ["text", printed.getvalue()])
    return json.dumps(_outputs)


def display(*values: Any, raw: bool = False, **_: Any) -> None:
    """Show values as IPython's function of this name does; a raw one holds pictures by their kind."""
    for value in values:
        if raw:
            _outputs.extend(["png", data] for kind, data in value.items() if kind == "image/png")
        elif hasattr(value, "savefig"):
            _outputs.append(["png", _png(value)])
        elif hasattr(value, "_repr_html_") and (html := value._repr_html_()) is not None:
            _outputs.append(["html", html])
        elif hasattr(value, "_repr_markdown_"):
            _outputs.append(["text", value._repr_markdown_()])
        else:
            _outputs.append(["text", repr(value)])


class HTML:
    """A text that is HTML."""

    def __init__(self, data: str = "", **_: Any) -> None:
        self.data = data

    def _repr_html_(self) -> str:
        return self.data


class Markdown:
    """A text that is Markdown; it is shown as it stands."""

    def __init__(self, data: str = "", **_: Any) -> None:
        self.data = data

    def _repr_markdown_(self) -> str:
        return self.data


class _Widget:
    """In place of a slider or a button, which would need a kernel: it keeps its settings and never changes."""

    def __init__(self, value: Any = None, **settings: Any) -> None:
        vars(self).update(settings, value=value)

    def observe(self, *_: Any, **__: Any) -> None:
        """Nothing changes it."""

    def _repr_mimebundle_(self) -> dict[str, str]:
        return {}


def _printed(figure: Any, fmt: str = "png", **_: Any) -> Any:
    """What IPython's print_figure returns: the bytes of a PNG, or the text of an SVG."""
    file = io.BytesIO()
    figure.savefig(file, format=fmt, bbox_inches="tight")
    return file.getvalue().decode() if fmt == "svg" else file.getvalue()


def _execute(code: str, name: str) -> None:
    tree = ast.parse(code, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), _namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), name, "eval"), _namespace)
        if value is not None and not code.rstrip().endswith(";"):
            display(value)


def _figures() -> None:
    """Show the figures that pyplot holds, and close them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    for number in pyplot.get_fignums() if pyplot else ():
        display(pyplot.figure(number))
        pyplot.close(number)


def _png(figure: Any) -> str:
    return base64.b64encode(_printed(figure)).decode("ascii")


def _surroundings() -> None:
    """What a notebook has around it: IPython's display functions, and Matplotlib without a window."""
    import matplotlib

    matplotlib.use("agg")
    package, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    for part in (display, HTML, Markdown):
        setattr(module, part.__name__, part)
    package.display, package.get_ipython = module, lambda: None  # type: ignore[attr-defined]
    package.version_info = (9, 0)  # type: ignore[attr-defined]  # Matplotlib asks for it
    core, tools = types.ModuleType("IPython.core"), types.ModuleType("IPython.core.pylabtools")
    tools.print_figure = _printed  # type: ignore[attr-defined]
    widgets = types.ModuleType("ipywidgets")
    widgets.__getattr__ = lambda name: _Widget  # type: ignore[method-assign]
    names = {"": package, ".display": module, ".core": core, ".core.pylabtools": tools}
    sys.modules.update({f"IPython{name}": part for name, part in names.items()})
    sys.modules["ipywidgets"] = widgets
    _namespace.update(display=display, get_ipython=lambda: None)


_surroundings()
