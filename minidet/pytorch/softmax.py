"""The focal loss over exclusive classes in PyTorch, differentiable twice. Contracts: `minidet.reference.softmax`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import tensors, widths
from minidet.pytorch.autograd import REFUSED
from minidet.pytorch.losses import focal
from minidet.pytorch.stable import two_sum


def softmax_focal_loss(
    logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: Tensor | float | None = None
) -> Tensor:
    """The focal loss over K exclusive classes. See `minidet.reference.softmax_focal_loss`."""
    return _Softmax.apply(0, *tensors.softmax(logits, labels, alpha), checks.gamma(gamma))


def softmax_focal_loss_grad(
    logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: Tensor | float | None = None
) -> Tensor:
    """The gradient of the focal loss over K exclusive classes. See `minidet.reference.softmax_focal_loss_grad`."""
    return _Softmax.apply(1, *tensors.softmax(logits, labels, alpha), checks.gamma(gamma))


class _Softmax(torch.autograd.Function):
    """Of (N, K) logits: the losses (N,), their gradient (N, K), or, of order 2, the Hessian times a (N, K) tensor v."""

    @staticmethod
    def forward(
        ctx: Any, order: int, x: Tensor, labels: Tensor, weight: Tensor, gamma: float, v: Tensor | None = None
    ) -> Any:
        ctx.order, ctx.gamma = order, gamma
        ctx.save_for_backward(x, labels, weight)
        u, lost, du_dx = _terms(widths.working(x), labels)
        weight = weight[labels]
        if order == 0:
            return (weight * focal(0, u, gamma, lost)).to(x.dtype)
        if order == 1:
            return ((weight * focal(1, u, gamma, lost))[:, None] * du_dx).to(x.dtype)
        assert v is not None
        v = v.to(du_dx.dtype)
        q = du_dx.clamp(min=0)  # softmax among the other classes; 0 at the label, where du/dx is -1
        curvature = focal(2, u, gamma, lost)[:, None] * (v * du_dx).sum(1, keepdim=True) * du_dx
        bend = focal(1, u, gamma, lost)[:, None] * q * (v - (v * q).sum(1, keepdim=True))
        return (weight[:, None] * (curvature + bend)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        x, labels, weight = ctx.saved_tensors
        if ctx.order == 0:
            slope = _Softmax.apply(1, widths.working(x), labels, weight, ctx.gamma)
            grad = (widths.working(upstream)[:, None] * slope).to(x.dtype)
        elif ctx.order == 1:
            grad = _Softmax.apply(2, x, labels, weight, ctx.gamma, upstream)
        else:
            raise NotImplementedError(REFUSED)
        return None, grad, None, None, None, None


def _terms(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """u = log(sum of exp(x_j), j != y) - x_y as (N,), what rounding lost of it, and du/dx (N, K)."""
    bound = torch.finfo(x.dtype).max / 1e8  # room for differences
    x = x.clamp(-bound, bound)
    is_label = torch.arange(x.shape[1], device=x.device) == labels[:, None]  # (N, K)
    x_y = x.gather(1, labels[:, None])[:, 0]
    peak = x.masked_fill(is_label, -bound).amax(1)  # (N,); with one class there is no other
    difference, lost = two_sum(x, -peak[:, None])
    shares = torch.where(is_label, 0.0, difference.clamp(max=0).exp() * (1 + lost))  # (N, K)
    total = shares.sum(1).clamp(min=1)  # the peak itself is a 1
    u, lost_1 = two_sum(peak, -x_y)
    u, lost_2 = two_sum(u, total.log())
    return u, lost_1 + lost_2, torch.where(is_label, -1.0, shares / total[:, None])
