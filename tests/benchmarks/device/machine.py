"""Part e: the device's name and clocks, the versions, the commit."""

from __future__ import annotations

import shutil
import subprocess

import torch

from minidet.experiments.circumstances import circumstances
from tests.benchmarks.device.recorder import Place
from tests.benchmarks.timing import peer_version

FACTS = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu"


def main() -> None:
    place = Place("e")
    place.recorder.attempt("circumstances", circumstances)
    names = ("torch", "torchvision", "triton", "numba", "numpy", "pytest", "hypothesis", "mpmath", "pycocotools")
    place.recorder.record("versions", {name: peer_version(name) for name in names})
    place.recorder.record("cuda", torch.version.cuda)
    place.recorder.record("small", place.small)
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", f"--query-gpu={FACTS}", "--format=csv"]
        place.recorder.attempt(
            "nvidia-smi", lambda: subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
        )
    else:
        place.recorder.record("nvidia-smi", "there is none")


if __name__ == "__main__":
    main()
