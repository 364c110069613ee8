"""How exact the focal loss and its gradient are: the three paths, and the peers that are installed, against 60 digits.

``python -m tests.benchmarks.bench_accuracy [--logits 400] [--json FILE]``, from the repository's root.

Logits over [-100, 100], both targets, gamma from 0 to 5, alpha none. The error is relative, the largest over all logits
at which the exact result is a normal number of the type; beside it where it is, and the share of results that are not
finite. Peers: those of `tests.benchmarks.peers`, through automatic differentiation.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import torch

from minidet import compiled, pytorch, reference
from tests.benchmarks import peers
from tests.benchmarks.timing import machine, peer_version

GAMMAS = (0.0, 0.5, 1.0, 1.3, 1.5, 2.0, 3.7, 5.0)
Pair = tuple[np.ndarray, np.ndarray]


def exact(x: float, target: int, gamma: float) -> tuple[mpmath.mpf, mpmath.mpf]:
    """The loss and its gradient, in the working precision."""
    y = 1 if target else -1
    u = -y * mpmath.mpf(x)
    s, p, loss = 1 / (1 + mpmath.exp(-u)), 1 / (1 + mpmath.exp(u)), mpmath.log1p(mpmath.exp(u))
    return s**gamma * loss, -y * s**gamma * (gamma * p * loss + s)


def ways() -> dict[str, Callable[[np.ndarray, np.ndarray, float], Pair]]:
    """Value and gradient of (x, targets, gamma), of each implementation that is there."""

    def arrays(path: Any) -> Callable[[np.ndarray, np.ndarray, float], Pair]:
        return lambda x, y, gamma: (path.focal_loss(x, y, gamma, None), path.focal_loss_grad(x, y, gamma, None))

    def tensors(loss: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]) -> Callable[..., Pair]:
        def run(x: np.ndarray, y: np.ndarray, gamma: float) -> Pair:
            t = torch.from_numpy(x).requires_grad_()
            value = loss(t, torch.from_numpy(y.astype(x.dtype)), gamma)
            value.sum().backward()
            assert t.grad is not None
            return value.detach().numpy(), t.grad.numpy()

        return run

    result = {
        "reference": arrays(reference),
        "compiled": arrays(compiled),
        "pytorch": tensors(lambda x, y, gamma: pytorch.focal_loss(x, y, gamma, None)),
    }
    for name, loss in peers.torch_losses().items():
        result[name] = tensors(lambda x, y, gamma, loss=loss: loss(x, y, gamma, None))
    for name, loss in peers.jax_losses().items():
        result[name] = jax_arrays(loss)
    return result


def jax_arrays(loss: peers.Loss) -> Callable[[np.ndarray, np.ndarray, float], Pair]:
    """Value and gradient of a loss over JAX's arrays."""
    import jax

    jax.config.update("jax_enable_x64", True)

    def run(x: np.ndarray, y: np.ndarray, gamma: float) -> Pair:
        array, targets = jax.numpy.asarray(x), jax.numpy.asarray(y.astype(x.dtype))
        gradient = jax.grad(lambda x: loss(x, targets, gamma, None).sum())(array)
        return np.asarray(loss(array, targets, gamma, None)), np.asarray(gradient)

    return run


def other_functions(x: np.ndarray) -> list[dict[str, Any]]:
    """The largest relative error of every other binary loss and derivative, over targets and parameters."""
    stars = [(g, b) for g in (0.5, 1.0, 1.3, 2.0, 4.0, 5.0) for b in (0.0, 1.0, -3.3)]

    def star(order: int, u: mpmath.mpf, gamma: float, beta: float) -> mpmath.mpf:
        v = mpmath.mpf(gamma) * u - mpmath.mpf(beta)
        s, p = 1 / (1 + mpmath.exp(-v)), 1 / (1 + mpmath.exp(v))
        return [mpmath.log1p(mpmath.exp(v)) / gamma, s, gamma * s * p][order]

    def entropy(order: int, u: mpmath.mpf) -> mpmath.mpf:
        s, p = 1 / (1 + mpmath.exp(-u)), 1 / (1 + mpmath.exp(u))
        return [mpmath.log1p(mpmath.exp(u)), s, s * p][order]

    cases = [("cross_entropy", entropy, [()]), ("focal_loss_star", star, stars)]
    worst_of: dict[tuple[str, str, str], float] = {}
    for name, formula, settings in cases:
        for order, suffix in enumerate(("", "_grad", "_hess")):
            for parameters in settings:
                for target in (0, 1):
                    y = -1 if target else 1
                    wanted = [(y if order == 1 else 1) * formula(order, y * mpmath.mpf(v), *parameters) for v in x]
                    for path in (reference, compiled, pytorch):
                        for dtype in (np.float64, np.float32):
                            values, targets = x.astype(dtype), np.full(len(x), target)
                            function = getattr(path, name + suffix)
                            if path is pytorch:
                                found = function(
                                    torch.from_numpy(values), torch.from_numpy(targets), *parameters
                                ).numpy()
                            else:
                                found = function(values, targets, *parameters)
                            key = path.__name__.rsplit(".", 1)[-1], name + suffix, np.dtype(dtype).name
                            worst_of[key] = max(worst_of.get(key, 0.0), worst(found, wanted, x)[0])
    return [
        {"implementation": key[0], "function": key[1], "type": key[2], "error": error}
        for key, error in worst_of.items()
    ]


def worst(values: np.ndarray, wanted: list[mpmath.mpf], x: np.ndarray) -> tuple[float, float, float]:
    """Largest relative error, the logit at which it is, and the share of results that are not finite."""
    tiny, errors = float(np.finfo(values.dtype).tiny), [(0.0, 0.0)]
    for value, right, logit in zip(values, wanted, x, strict=True):
        if abs(right) >= tiny:
            error = abs(mpmath.mpf(float(value)) / right - 1) if np.isfinite(value) else mpmath.inf
            errors.append((float(error), float(logit)))
    return *max(errors), float(np.mean(~np.isfinite(values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logits", type=int, default=160, help="how many")
    parser.add_argument("--json", type=Path, help="also write the result there")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-100, 100, options.logits // 2), rng.uniform(-18, 18, options.logits // 2)])
    x = x.astype(np.float32).astype(np.float64)
    implementations = ways()
    rows: list[dict[str, Any]] = []
    with mpmath.workdps(60):
        others = other_functions(x[:: max(1, len(x) // 120)])
        table = {(y, g): [exact(v, y, g) for v in x] for y in (0, 1) for g in GAMMAS}
        for dtype in (np.float64, np.float32):
            for name, run in implementations.items():
                for gamma in GAMMAS:
                    for target in (0, 1):
                        pair = run(x.astype(dtype), np.full(len(x), target), gamma)
                        for what, values, column in zip(("value", "gradient"), pair, (0, 1), strict=True):
                            error, where, not_finite = worst(values, [row[column] for row in table[target, gamma]], x)
                            rows.append({
                                "implementation": name, "type": np.dtype(dtype).name, "what": what, "gamma": gamma,
                                "target": target, "error": error, "logit": where, "not_finite": not_finite,
                            })  # fmt: skip
    print("the other functions of minidet, largest relative error")
    for row in others:
        print(f"  {row['implementation']:10} {row['function']:22} {row['type']:8} {row['error']:9.1e}")
    print("\nfocal_loss and its gradient, beside the peers")
    print(f"{'':28} {'type':8} {'':9} {'error':>9}  {'at logit':>9} {'gamma':>6} {'target':>6}  not finite")
    for name in implementations:
        for kind in ("float64", "float32"):
            for what in ("value", "gradient"):
                mine = [r for r in rows if (r["implementation"], r["type"], r["what"]) == (name, kind, what)]
                top = max(mine, key=lambda r: r["error"])
                print(
                    f"{name:28} {kind:8} {what:9} {top['error']:9.1e}  {top['logit']:9.2f} {top['gamma']:6g} "
                    f"{top['target']:6}  {np.mean([r['not_finite'] for r in mine]):10.1%}"
                )
    if options.json:
        versions = {name: version for name in peers.PACKAGES if (version := peer_version(name))}
        finite = [
            row | {"error": row["error"] if np.isfinite(row["error"]) else None} for row in rows
        ]  # JSON has no inf
        result = {"machine": machine(), "peers": versions, "rows": finite, "others": others}
        options.json.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
