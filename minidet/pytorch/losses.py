"""The losses of the paper in PyTorch, differentiable twice. Equations and contracts: `minidet.reference.losses`.

A formula is a function of u = -x_t; `order` picks the value (0), the slope dF/du (1) or the curvature (2). Backward of
the value is the slope worked out by hand, backward of the slope is the curvature; a third derivative is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import tensors, widths
from minidet.pytorch.autograd import Derivatives
from minidet.pytorch.devices import has_kernels
from minidet.pytorch.stable import decay, power, sigmoid
from minidet.structures import IGNORED


def cross_entropy(logits: Tensor, targets: Tensor, alpha: float | None = None) -> Tensor:
    """The cross entropy (equations 1 to 3), the focal loss at gamma = 0. See `minidet.reference.cross_entropy`."""
    return elementwise(0, focal, logits, targets, alpha, 0.0)


def cross_entropy_grad(logits: Tensor, targets: Tensor, alpha: float | None = None) -> Tensor:
    """The derivative of the cross entropy. See `minidet.reference.cross_entropy_grad`."""
    return elementwise(1, focal, logits, targets, alpha, 0.0)


def cross_entropy_hess(logits: Tensor, targets: Tensor, alpha: float | None = None) -> Tensor:
    """The second derivative of the cross entropy. See `minidet.reference.cross_entropy_hess`."""
    return elementwise(2, focal, logits, targets, alpha, 0.0)


def focal_loss(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """The focal loss (equations 4 and 5). See `minidet.reference.focal_loss`."""
    return elementwise(0, focal, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_grad(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """The derivative of the focal loss. See `minidet.reference.focal_loss_grad`."""
    return elementwise(1, focal, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_hess(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """The second derivative of the focal loss. See `minidet.reference.focal_loss_hess`."""
    return elementwise(2, focal, logits, targets, alpha, checks.gamma(gamma))


def hinge_loss(logits: Tensor, targets: Tensor, margin: float = 0.5) -> Tensor:
    """The hinge loss on probabilities (section 5.1). See `minidet.reference.hinge_loss`."""
    return _apply_hinge(0, logits, targets, margin)


def hinge_loss_grad(logits: Tensor, targets: Tensor, margin: float = 0.5) -> Tensor:
    """The derivative of the hinge loss. See `minidet.reference.hinge_loss_grad`."""
    return _apply_hinge(1, logits, targets, margin)


def dense_focal_loss(logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """The focal loss of an image, a scalar that differentiates itself (section 4.1).

    See `minidet.reference.dense_focal_loss`.

    Its gradient is computed in the backward pass; until then nothing is kept but the logits and the labels. On a GPU
    with Triton, value and gradient are computed together, in one pass over the logits (`minidet.pytorch.kernels`).
    """
    gamma, alpha = checks.gamma_alpha(gamma, alpha)

    def checked() -> tuple[Tensor, Tensor]:
        x = tensors.class_scores("logits", logits)
        n, k = x.shape
        return x, tensors.integers("labels", labels, n, of="anchors (rows of logits)", low=IGNORED, high=k - 1)

    if not isinstance(logits, Tensor) or not fused(logits):
        return _Dense.apply(*tensors.at_once(checked), gamma, alpha)
    with tensors.trusted():
        x, assigned = checked()
    loss = _Dense.apply(x, assigned, gamma, alpha)
    tensors.afterwards(lambda: ~loss.isnan(), checked)  # faults make it NaN: nothing is read once more to find them
    return loss


class _Dense(torch.autograd.Function):
    """Sum of the focal loss over (N, K) logits, divided by the number of assigned anchors, some rows at a time.

    Nearly all logits are background, so all are taken for it, without a one-hot matrix, and the entry of each object is
    put right afterwards.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, labels: Tensor, gamma: float, alpha: float | None) -> Any:
        ctx.gamma, ctx.alpha = gamma, alpha
        ctx.save_for_backward(x, labels)
        ctx.grad = None
        if fused(x):
            from minidet.pytorch import kernels

            needed = ctx.needs_input_grad[0]
            loss, ctx.grad = kernels.value_and_gradient(x, labels, gamma, alpha, (labels >= 0).sum(), needed)
            return loss.to(x.dtype)
        parts = [_dense_rows(0, part, label, gamma, alpha).sum() for part, label in _rows(x, labels)]
        return (torch.stack(parts).sum() / _normaliser(labels)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        x, labels = ctx.saved_tensors
        if (
            ctx.grad is not None and not torch.is_grad_enabled()
        ):  # for the first backward pass; another computes it again
            from minidet.pytorch import kernels

            grad, ctx.grad = ctx.grad, None
            kernels.scale_(grad, upstream)
            return grad, None, None, None
        factor = widths.working(upstream) / _normaliser(labels)
        if torch.is_grad_enabled():  # a second derivative is wanted: through the elementwise loss, which has one
            is_object = labels[:, None] == torch.arange(x.shape[1], device=x.device)
            slope = Derivatives.apply(1, _binary, widths.working(x), is_object, ctx.alpha, focal, ctx.gamma)
            return (slope * ((labels != IGNORED)[:, None] * factor)).to(x.dtype), None, None, None
        if torch.compiler.is_compiling():
            return (_dense_rows(1, x, labels, ctx.gamma, ctx.alpha) * factor).to(x.dtype), None, None, None
        grad = torch.empty_like(x)
        for part, label, place in _rows(x, labels, grad):
            torch.mul(_dense_rows(1, part, label, ctx.gamma, ctx.alpha), factor, out=place)
        return grad, None, None, None


def fused(x: Tensor) -> bool:
    """Whether the dense loss of these logits is computed by `minidet.pytorch.kernels`: on a GPU with Triton."""
    widths_known = x.dtype in (torch.float32, torch.bfloat16, torch.float16)
    return x.numel() > 0 and x.is_contiguous() and widths_known and has_kernels(x)


def _dense_rows(order: int, x: Tensor, labels: Tensor, gamma: float, alpha: float | None) -> Tensor:
    """(n, K) losses or slopes of some rows, 0 for ignored anchors."""
    background_weight, object_weight = (1.0, 1.0) if alpha is None else (1 - alpha, alpha)
    wide = widths.working(x)
    if x.shape[1] == 0:
        return wide
    values = _weighted(background_weight, focal(order, wide, gamma))
    column, is_object = labels.clamp(min=0)[:, None], (labels >= 0)[:, None]
    own = _weighted(object_weight, focal(order, -wide.gather(1, column), gamma))  # (n, 1)
    own = torch.where(is_object, -own if order == 1 else own, values.gather(1, column))
    return values.scatter_(1, column, own).masked_fill_((labels == IGNORED)[:, None], 0.0)


def _weighted(weight: float, values: Tensor) -> Tensor:
    return values.mul_(weight) if weight else torch.zeros_like(values)  # no weight on an infinite value is none


def elementwise(
    order: int, formula: Callable[..., Tensor], logits: Tensor, targets: Tensor, alpha: float | None, *parameters: float
) -> Tensor:
    """The derivative of this order of a binary loss, differentiable up to order 2; arguments as in `cross_entropy`."""
    x, is_object = tensors.binary(logits, targets)
    return Derivatives.apply(order, _binary, x, is_object, checks.alpha(alpha), formula, *parameters)


def _binary(
    order: int, x: Tensor, is_object: Tensor, alpha: float | None, formula: Callable[..., Tensor], *parameters: float
) -> Tensor:
    """alpha_t F(u), or its derivative by the logit: (du/dx)**order = slope**order."""
    slope = torch.where(is_object, -x.new_ones(()), x.new_ones(()))
    value = formula(order, slope * x, *parameters)
    if order == 1:
        value = slope * value
    if alpha is None:
        return value
    weight = torch.where(is_object, x.new_full((), alpha), x.new_full((), 1 - alpha))
    return torch.where(weight == 0, weight, weight * value)  # no weight on an infinite value is none


def focal(order: int, u: Tensor, gamma: float, lost: Tensor | float = 0.0) -> Tensor:
    """s**gamma L and its derivatives by u."""
    e = decay(u, lost)
    total = 1 + e
    s = torch.where(u >= 0, 1.0, e) / total
    factor = power(s, e, u, gamma)
    rest = torch.log1p(e)  # of L = max(u, 0) + log(1 + exp(-|u|))
    if order == 0:
        return factor * (u.clamp(min=0) + rest)
    p = torch.where(u >= 0, e, 1.0) / total
    p_loss = p * (u.clamp(0, torch.finfo(u.dtype).max) + rest)  # at u = inf the limit, 0, not 0 times inf
    if order == 1:
        return factor * (gamma * p_loss + s)
    return factor * (gamma * p_loss * (gamma * p - s) + (2 * gamma + 1) * p * s)


def _apply_hinge(order: int, logits: Tensor, targets: Tensor, margin: float) -> Tensor:
    x, is_object = tensors.binary(logits, targets)
    margin = checks.number("margin", margin, low=0, high=1)
    wide = widths.for_differences(x)  # margin - p
    return Derivatives.apply(order, _binary, wide, is_object, None, _hinge, margin).to(x.dtype)


def _hinge(order: int, u: Tensor, margin: float) -> Tensor:
    """max(0, margin - p) and its derivatives by u, 0 above the margin."""
    s, p = sigmoid(u), sigmoid(-u)
    if order == 0:
        return (margin - p).clamp(min=0)
    slope = s * p if order == 1 else s * p * (p - s)
    return torch.where(p < margin, slope, torch.zeros_like(slope))


def _normaliser(labels: Tensor) -> Tensor:
    return (labels >= 0).sum().clamp(min=1)


def _rows(x: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Some rows at a time: few enough for a CPU's caches, or many enough for a GPU; torch.compile gets all."""
    count = max(1, (2**20 if x.device.type == "cpu" else 2**25) // max(1, x.shape[1]))
    if torch.compiler.is_compiling():
        count = max(1, len(x))
    return zip(*(tensor.split(count) for tensor in (x, *others)), strict=True)
