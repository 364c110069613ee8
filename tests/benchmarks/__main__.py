"""`python -m tests.benchmarks`: every benchmark of this folder, one after the other."""

import sys

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

for benchmark in (
    bench_operations,
    bench_cold,
    bench_growth,
    bench_adversarial,
    bench_accuracy,
    bench_half,
    bench_evaluation,
    bench_files,
    bench_layers,
    bench_paths,
    bench_training,
):
    print(f"\n== {benchmark.__name__.rsplit('.', 1)[-1]}")
    sys.argv = sys.argv[:1]
    benchmark.main()
