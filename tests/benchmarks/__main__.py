"""`python -m tests.benchmarks [--json FOLDER]`: every benchmark of this folder, one after the other.

With a folder, such as figures/results, what is measured is written there too, a file ``benchmark_NAME.json`` for each.
"""

import argparse
import sys
from pathlib import Path

from tests.benchmarks import (
    bench_accuracy,
    bench_adversarial,
    bench_cold,
    bench_evaluation,
    bench_files,
    bench_growth,
    bench_half,
    bench_layers,
    bench_operations,
    bench_paths,
    bench_training,
)

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--json", type=Path, metavar="FOLDER", help="write the numbers into files there")
folder = parser.parse_args().json
for benchmark in (
    bench_operations,
    bench_cold,
    bench_growth,
    bench_adversarial,
    bench_files,
    bench_evaluation,
    bench_training,
    bench_layers,
    bench_paths,
    bench_accuracy,
    bench_half,
):
    name = benchmark.__name__.rsplit("bench_", 1)[-1]
    print(f"\n== {name}", flush=True)
    sys.argv[1:] = [] if folder is None else ["--json", str(folder / f"benchmark_{name}.json")]
    benchmark.main()
