"""Print the lowest versions that pyproject.toml allows, as requirements, so that they can be tested.

$ python .github/lowest.py train test > lowest.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lowest(extras: list[str]) -> list[str]:
    """`name==version` for each dependency that has a lower bound, and the plain name for the others.

    Args:
        extras: names of optional dependencies to include.

    Returns:
        One requirement per package, in the order of pyproject.toml.
    """
    known = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in known[extra])]
    own = [text for text in texts if not text.startswith("minidet[")]
    return list(dict.fromkeys(re.sub(r"\s*>=\s*", "==", text) for text in own))


if __name__ == "__main__":
    print("\n".join(lowest(sys.argv[1:])))
