"""How exact the losses are in float16 and bfloat16: every logit of these types, values and derivatives, all paths.

``python -m tests.benchmarks.bench_half [--json FILE]``, from the repository's root.

The exact value is that of the reference in float64, which is right to 1.5e-15. An error is told in units in the last
place of the half-width type: up to 0.5 a result is the nearest number there is. Results beyond the largest number of
the type, or where a value is 0, are left out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minidet import compiled, pytorch, reference
from tests.benchmarks.timing import machine

LOSSES: list[tuple[str, dict[str, Any]]] = [
    ("cross_entropy", {}), *(("focal_loss", {"gamma": gamma, "alpha": None}) for gamma in (0.5, 1.0, 2.0, 5.0)),
    ("focal_loss_star", {"gamma": 2.0, "beta": 1.0}), ("hinge_loss", {}), ("quality_focal_loss", {}),
    ("varifocal_loss", {}),
]  # fmt: skip
DERIVATIVES = {"value": "", "gradient": "_grad", "second derivative": "_hess"}


def every(dtype: torch.dtype) -> torch.Tensor:
    """Every finite number of a type of 16 bits."""
    bits = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32).to(torch.int16).view(dtype)
    return bits[bits.isfinite()]


def errors(found: np.ndarray, exact: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """Distances in units in the last place of the type."""
    info = torch.finfo(dtype)
    digits, smallest = (8, -125) if dtype == torch.bfloat16 else (11, -13)
    unit = np.ldexp(1.0, np.frexp(exact)[1].clip(smallest) - digits)
    counted = (np.abs(exact) <= info.max) & (exact != 0)
    return (np.abs(found - exact) / unit)[counted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the result there")
    options = parser.parse_args()
    rows = []
    for dtype in (torch.float16, torch.bfloat16):
        x = every(dtype)
        kind = str(dtype).removeprefix("torch.")
        for name, parameters in LOSSES:
            soft = name.startswith(("quality", "vari"))
            y = np.arange(len(x)) % 9 / 8 if soft else np.arange(len(x)) % 2
            for what, suffix in DERIVATIVES.items():
                if not hasattr(reference, name + suffix):
                    continue
                exact = getattr(reference, name + suffix)(x.double().numpy(), y, **parameters)
                for path in (reference, compiled, pytorch):
                    function = getattr(path, name + suffix)
                    if path is pytorch:
                        found = function(x, torch.from_numpy(y), **parameters).double().numpy()
                    elif dtype == torch.float16:  # NumPy has no bfloat16
                        found = function(x.numpy(), y, **parameters).astype(np.float64)
                    else:
                        continue
                    ulps = errors(found, exact, dtype)
                    rows.append({
                        "implementation": path.__name__.rsplit(".", 1)[-1], "function": name, **parameters,
                        "type": kind, "what": what, "ulps": float(ulps.max()),
                        "not_nearest": float((ulps > 0.5).mean()), "not_finite": float(np.mean(~np.isfinite(ulps))),
                    })  # fmt: skip
                    row = rows[-1]
                    print(
                        f"{kind:8} {row['implementation']:9} {name:18} {parameters.get('gamma', ''):4} {what:17} "
                        f"{row['ulps']:9.4f} ulp, {row['not_nearest']:.1e} not nearest"
                    )
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
