"""Why some of the faults that `tests.mutants` plants are not found: nobody could see them."""

REASONS: dict[str, str] = {}
