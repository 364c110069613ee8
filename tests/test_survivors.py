"""The faults that were planted in the operations: whichever survived has a reason, and no reason is left over."""

import json

import pytest

from tests.mutants import RESULTS, ROOT, SUBJECTS, named
from tests.survivors import REASONS

FOUND = {key: one["outcome"] for key, one in json.loads(RESULTS.read_bytes()).items()}


def test_every_survivor_has_a_reason():
    assert {key for key, outcome in FOUND.items() if outcome == "survived"} == REASONS.keys()


@pytest.mark.parametrize("subject", [one for one in SUBJECTS if any(key.startswith(f"{one} ") for key in FOUND)])
def test_what_was_planted_could_still_be(subject):
    """After a change to a file, `python -m tests.mutants` has to be run again."""
    assert {key for key in FOUND if key.startswith(f"{subject} ")} <= named(ROOT / "minidet" / subject).keys()
