"""How a formula becomes differentiable: its derivatives are formulas too, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minidet.pytorch import widths

REFUSED = "the losses are differentiable twice; a third derivative is not worked out"


class Derivatives(torch.autograd.Function):
    """formula(order, x, targets, *parameters), elementwise in x; its derivative is the formula of the next order."""

    @staticmethod
    def forward(
        ctx: Any, order: int, formula: Callable[..., Tensor], x: Tensor, targets: Tensor, *parameters: Any
    ) -> Any:
        ctx.order, ctx.formula, ctx.parameters = order, formula, parameters
        ctx.save_for_backward(x, targets)
        return formula(order, widths.working(x), targets, *parameters).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if ctx.order == 2:
            raise NotImplementedError(REFUSED)
        x, targets = ctx.saved_tensors
        wide = widths.working(x)  # so that numbers of half width are rounded once, after the product
        slope = Derivatives.apply(ctx.order + 1, ctx.formula, wide, targets, *ctx.parameters)
        gradient = (widths.working(upstream) * slope).to(x.dtype)
        return None, None, gradient, None, *(None for _ in ctx.parameters)
