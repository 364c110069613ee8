"""A prepared run for the few minutes in which there is a GPU: see `tests.benchmarks.device.__main__`."""
