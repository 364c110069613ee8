"""What the course's grader is measured by, printed: `python -m tests.course.measure [mistakes] [attacks] [class]`.

mistakes: how many whole wrong solutions are caught, cost their own function only, and are told first what is wrong.
attacks: what submissions that mean harm earn and take; only where the kernel confines them.
class: seconds for a class of forty, with a page for each student and a CSV file.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from minidet.cli import main
from tests.course import mistakes, more_mistakes, small_changes
from tests.course.helpers import graded, solution

COLLECTIONS = {"mistakes": mistakes, "more mistakes": more_mistakes, "small changes": small_changes}
STUDENTS = 40


def measure_mistakes() -> None:
    for title, collection in COLLECTIONS.items():
        count: Counter[str] = Counter()
        for wrong in collection.MISTAKES:
            rows = graded(wrong.assignment, solution(wrong.assignment) + wrong.source, only=wrong.function)
            lost = [name for name, row in rows.items() if row.share < 1]
            failure = rows[wrong.function].first_failure
            count["caught"] += wrong.function in lost
            count["their own function only"] += lost == [wrong.function]
            count["first hint on the mistake"] += bool(failure and re.search(wrong.hint, failure.hint))
        told = ", ".join(f"{name} {number}" for name, number in count.items())
        print(f"{title}: {len(collection.MISTAKES)} of them; {told}", flush=True)


def measure_attacks() -> None:
    from tests.course import test_attacks

    with tempfile.TemporaryDirectory() as folder:
        results, file, left = test_attacks.grade_class(Path(folder))
        wrong = {name: one.total for name, one in results.items() if name in test_attacks.ATTACKS and one.total}
        honest = [one.total for name, one in results.items() if name.startswith("honest")]
        slowest = max(results, key=lambda name: results[name].seconds)
        print(f"{len(test_attacks.ATTACKS)} attacks; earned more than the stub: {wrong or 'none'}")
        print(f"slowest: {slowest}, {results[slowest].seconds:.1f} s; honest submissions beside them: {honest}")
        running, kept = test_attacks.running(test_attacks.MARKER), file.read_text() == "untouched"
        print(f"left running: {running or 'nothing'}; folders left: {left or 'none'}; grades untouched: {kept}")


def measure_class() -> None:
    """A class whose students make the mistakes of the collections, and a few who hand in something else."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        chosen = [one for collection in COLLECTIONS.values() for one in collection.MISTAKES if one.assignment == "a3"]
        for number in range(STUDENTS):
            text = solution("a3") if number % 4 == 0 else solution("a3") + chosen[number % len(chosen)].source
            file = root / "submissions" / f"student_{number:02}" / "a3.py"
            file.parent.mkdir(parents=True)
            file.write_text(text if number else "def focal_loss(:\n", encoding="utf-8")
        command = ["assignment", "grade", "a3", "--all", str(root / "submissions"), "--jobs", "4"]
        begin = time.perf_counter()
        status = main([*command, "--feedback", str(root / "pages"), "--out", str(root / "grades.csv")])
        seconds = time.perf_counter() - begin
        rows = (root / "grades.csv").read_text(encoding="utf-8").splitlines()[1:]
        pages = list((root / "pages").glob("*.html"))
        print(f"{len(rows)} submissions graded, {len(pages)} pages, status {status}: {seconds:.0f} s")


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["mistakes", "attacks", "class"]
    for name in wanted:
        {"mistakes": measure_mistakes, "attacks": measure_attacks, "class": measure_class}[name]()
