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
from minidet.pytorch import tensors
from minidet.structures import IGNORED


def cross_entropy(logits: Tensor, targets: Tensor, alpha: float | None = None) -> Tensor:
    """Equations 1 to 3, the focal loss at gamma = 0. See `minidet.reference.cross_entropy`."""
    return _elementwise(0, _focal, logits, targets, alpha, 0.0)


def cross_entropy_grad(logits: Tensor, targets: Tensor, alpha: float | None = None) -> Tensor:
    """d CE / d logits. See `minidet.reference.cross_entropy_grad`."""
    return _elementwise(1, _focal, logits, targets, alpha, 0.0)


def cross_entropy_hess(logits: Tensor, targets: Tensor, alpha: float | None = None) -> Tensor:
    """d2 CE / d logits2. See `minidet.reference.cross_entropy_hess`."""
    return _elementwise(2, _focal, logits, targets, alpha, 0.0)


def focal_loss(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """Equations 4 and 5. See `minidet.reference.focal_loss`."""
    return _elementwise(0, _focal, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_grad(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """d FL / d logits. See `minidet.reference.focal_loss_grad`."""
    return _elementwise(1, _focal, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_hess(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """d2 FL / d logits2. See `minidet.reference.focal_loss_hess`."""
    return _elementwise(2, _focal, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_star(
    logits: Tensor, targets: Tensor, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> Tensor:
    """Equations 7 and 8. See `minidet.reference.focal_loss_star`."""
    return _elementwise(0, _star, logits, targets, alpha, *checks.star(gamma, beta))


def focal_loss_star_grad(
    logits: Tensor, targets: Tensor, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> Tensor:
    """d FL* / d logits. See `minidet.reference.focal_loss_star_grad`."""
    return _elementwise(1, _star, logits, targets, alpha, *checks.star(gamma, beta))


def focal_loss_star_hess(
    logits: Tensor, targets: Tensor, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> Tensor:
    """d2 FL* / d logits2. See `minidet.reference.focal_loss_star_hess`."""
    return _elementwise(2, _star, logits, targets, alpha, *checks.star(gamma, beta))


def hinge_loss(logits: Tensor, targets: Tensor, margin: float = 0.5) -> Tensor:
    """max(0, margin - p_t), section 5.1. See `minidet.reference.hinge_loss`."""
    return _elementwise(0, _hinge, logits, targets, None, checks.number("margin", margin, low=0, high=1))


def hinge_loss_grad(logits: Tensor, targets: Tensor, margin: float = 0.5) -> Tensor:
    """d hinge / d logits. See `minidet.reference.hinge_loss_grad`."""
    return _elementwise(1, _hinge, logits, targets, None, checks.number("margin", margin, low=0, high=1))


def softmax_focal_loss(
    logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: Tensor | float | None = None
) -> Tensor:
    """(N,) focal losses over K exclusive classes. See `minidet.reference.softmax_focal_loss`."""
    return _Softmax.apply(*tensors.softmax(logits, labels, alpha), checks.gamma(gamma))


def softmax_focal_loss_grad(
    logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: Tensor | float | None = None
) -> Tensor:
    """(N, K) gradient. See `minidet.reference.softmax_focal_loss_grad`."""
    return _SoftmaxSlope.apply(*tensors.softmax(logits, labels, alpha), checks.gamma(gamma))


def smooth_l1(predictions: Tensor, targets: Tensor, beta: float = 1.0) -> Tensor:
    """Quadratic for |d| < beta, linear beyond. See `minidet.reference.smooth_l1`."""
    x, t = tensors.predictions(predictions, targets)
    return _Derivatives.apply(0, _smooth_l1, x, t, checks.number("beta", beta, low=0))


def smooth_l1_grad(predictions: Tensor, targets: Tensor, beta: float = 1.0) -> Tensor:
    """With respect to the predictions. See `minidet.reference.smooth_l1_grad`."""
    x, t = tensors.predictions(predictions, targets)
    return _Derivatives.apply(1, _smooth_l1, x, t, checks.number("beta", beta, low=0))


def dense_focal_loss(logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: float | None = 0.25) -> Tensor:
    """The focal loss of an image, a scalar (section 4.1). See `minidet.reference.dense_focal_loss`.

    Its gradient is made in the backward pass. Nothing but the logits and labels is kept until then.
    """
    gamma, alpha = checks.gamma_alpha(gamma, alpha)
    x = tensors.class_scores("logits", logits)
    n, k = x.shape
    label = tensors.integers("labels", labels, n, of="anchors (rows of logits)", low=IGNORED, high=k - 1)
    return _Dense.apply(x, label, gamma, alpha)


class _Derivatives(torch.autograd.Function):
    """formula(order, x, targets, *parameters), elementwise in x; its derivative is the formula of the next order."""

    @staticmethod
    def forward(
        ctx: Any, order: int, formula: Callable[..., Tensor], x: Tensor, targets: Tensor, *parameters: Any
    ) -> Any:
        ctx.order, ctx.formula, ctx.parameters = order, formula, parameters
        ctx.save_for_backward(x, targets)
        return formula(order, tensors.working(x), targets, *parameters).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if ctx.order == 2:
            raise NotImplementedError("the losses are differentiable twice; a third derivative is not worked out")
        x, targets = ctx.saved_tensors
        slope = _Derivatives.apply(ctx.order + 1, ctx.formula, x, targets, *ctx.parameters)
        return None, None, upstream * slope, None, *(None for _ in ctx.parameters)


class _Dense(torch.autograd.Function):
    """Sum of the focal loss over (N, K) logits, divided by the number of assigned anchors, some rows at a time.

    Nearly all logits are background, so all are taken for it, without a one-hot matrix, and the entry of each object is
    put right afterwards.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, labels: Tensor, gamma: float, alpha: float | None) -> Any:
        ctx.gamma, ctx.alpha = gamma, alpha
        ctx.save_for_backward(x, labels)
        parts = [_dense_rows(0, part, label, gamma, alpha).sum() for part, label in _rows(x, labels)]
        return (torch.stack(parts).sum() / _normaliser(labels)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        x, labels = ctx.saved_tensors
        factor = upstream / _normaliser(labels)
        if torch.is_grad_enabled():  # a second derivative is wanted: through the elementwise loss, which has one
            is_object = labels[:, None] == torch.arange(x.shape[1], device=x.device)
            slope = _Derivatives.apply(1, _binary, x, is_object, ctx.alpha, _focal, ctx.gamma)
            return slope * ((labels != IGNORED)[:, None] * factor), None, None, None
        if torch.compiler.is_compiling():
            return (_dense_rows(1, x, labels, ctx.gamma, ctx.alpha) * factor).to(x.dtype), None, None, None
        grad = torch.empty_like(x)
        for part, label, place in _rows(x, labels, grad):
            torch.mul(_dense_rows(1, part, label, ctx.gamma, ctx.alpha), factor, out=place)
        return grad, None, None, None


def _dense_rows(order: int, x: Tensor, labels: Tensor, gamma: float, alpha: float | None) -> Tensor:
    """(n, K) losses or slopes of some rows, 0 for ignored anchors."""
    background_weight, object_weight = (1.0, 1.0) if alpha is None else (1 - alpha, alpha)
    wide = tensors.working(x)
    if x.shape[1] == 0:
        return wide
    values = _weighted(background_weight, _focal(order, wide, gamma))
    column, is_object = labels.clamp(min=0)[:, None], (labels >= 0)[:, None]
    own = _weighted(object_weight, _focal(order, -wide.gather(1, column), gamma))  # (n, 1)
    own = torch.where(is_object, -own if order == 1 else own, values.gather(1, column))
    return values.scatter_(1, column, own).masked_fill_((labels == IGNORED)[:, None], 0.0)


def _weighted(weight: float, values: Tensor) -> Tensor:
    return values.mul_(weight) if weight else torch.zeros_like(values)  # no weight on an infinite value is none


class _Softmax(torch.autograd.Function):
    """(N,) losses of (N, K) logits."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, labels: Tensor, weight: Tensor, gamma: float) -> Any:
        ctx.gamma = gamma
        ctx.save_for_backward(x, labels, weight)
        u, lost, _ = _softmax_terms(tensors.working(x), labels)
        return (weight[labels] * _focal(0, u, gamma, lost)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        x, labels, weight = ctx.saved_tensors
        return upstream[:, None] * _SoftmaxSlope.apply(x, labels, weight, ctx.gamma), None, None, None


class _SoftmaxSlope(torch.autograd.Function):
    """(N, K) gradient of the softmax form: F' a with a = du/dx."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, labels: Tensor, weight: Tensor, gamma: float) -> Any:
        ctx.gamma = gamma
        ctx.save_for_backward(x, labels, weight)
        u, lost, a = _softmax_terms(tensors.working(x), labels)
        return ((weight[labels] * _focal(1, u, gamma, lost))[:, None] * a).to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        """The Hessian times v: F'' (v . a) a + F' q (v - v . q), q the softmax among the other classes."""
        x, labels, weight = ctx.saved_tensors
        u, lost, a = _softmax_terms(tensors.working(x), labels)
        v = upstream.to(a.dtype)
        q = a.clamp(min=0)  # 0 at the label, where a is -1
        curvature = _focal(2, u, ctx.gamma, lost)[:, None] * (v * a).sum(1, keepdim=True) * a
        bend = _focal(1, u, ctx.gamma, lost)[:, None] * q * (v - (v * q).sum(1, keepdim=True))
        return (weight[labels][:, None] * (curvature + bend)).to(x.dtype), None, None, None


def _elementwise(
    order: int, formula: Callable[..., Tensor], logits: Tensor, targets: Tensor, alpha: float | None, *parameters: float
) -> Tensor:
    x, is_object = tensors.binary(logits, targets)
    return _Derivatives.apply(order, _binary, x, is_object, checks.alpha(alpha), formula, *parameters)


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


def _focal(order: int, u: Tensor, gamma: float, lost: Tensor | float = 0.0) -> Tensor:
    """s**gamma L and its derivatives by u."""
    e = _decay(u, lost)
    total = 1 + e
    s = torch.where(u >= 0, 1.0, e) / total
    power = _power(s, e, u, gamma)
    rest = torch.log1p(e)  # of L = max(u, 0) + log(1 + exp(-|u|))
    if order == 0:
        return power * (u.clamp(min=0) + rest)
    p = torch.where(u >= 0, e, 1.0) / total
    p_loss = p * (u.clamp(0, torch.finfo(u.dtype).max) + rest)  # at u = inf the limit, 0, not 0 times inf
    if order == 1:
        return power * (gamma * p_loss + s)
    return power * (gamma * p_loss * (gamma * p - s) + (2 * gamma + 1) * p * s)


def _star(order: int, u: Tensor, gamma: float, beta: float) -> Tensor:
    """softplus(v) / gamma with v = gamma u - beta, and its derivatives by u."""
    v, lost = _affine(gamma, u, -beta)
    if order == 0:
        return (u - beta / gamma).clamp(min=0) + torch.log1p(_decay(v, lost)) / gamma
    if order == 1:
        return _sigmoid(v, lost)
    return gamma * _sigmoid(v, lost) * _sigmoid(-v, -lost)


def _hinge(order: int, u: Tensor, margin: float) -> Tensor:
    """max(0, margin - p) and its derivatives by u, 0 above the margin."""
    s, p = _sigmoid(u), _sigmoid(-u)
    if order == 0:
        return (margin - p).clamp(min=0)
    slope = s * p if order == 1 else s * p * (p - s)
    return torch.where(p < margin, slope, torch.zeros_like(slope))


def _smooth_l1(order: int, x: Tensor, targets: Tensor, beta: float) -> Tensor:
    d = x - targets
    near, size = d.abs() < beta, d.abs()
    if order == 0:
        small = size.clamp(max=beta)  # keeps the square from overflowing
        return torch.where(near, 0.5 * small * (small / (beta or 1)), size - 0.5 * beta)
    if order == 1:
        return torch.where(near, d / (beta or 1), d.sign())
    return near.to(x.dtype) / (beta or 1)


def _softmax_terms(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """u = log(sum of exp(x_j), j != y) - x_y as (N,), what rounding lost of it, and du/dx (N, K)."""
    bound = torch.finfo(x.dtype).max / 1e8  # room for differences
    x = x.clamp(-bound, bound)
    is_label = torch.arange(x.shape[1], device=x.device) == labels[:, None]  # (N, K)
    x_y = x.gather(1, labels[:, None])[:, 0]
    peak = x.masked_fill(is_label, -bound).amax(1)  # (N,); with one class there is no other
    difference, lost = _two_sum(x, -peak[:, None])
    shares = torch.where(is_label, 0.0, difference.clamp(max=0).exp() * (1 + lost))  # (N, K)
    total = shares.sum(1).clamp(min=1)  # the peak itself is a 1
    u, lost_1 = _two_sum(peak, -x_y)
    u, lost_2 = _two_sum(u, total.log())
    return u, lost_1 + lost_2, torch.where(is_label, -1.0, shares / total[:, None])


def _decay(v: Tensor, lost: Tensor | float = 0.0) -> Tensor:
    """exp(-|v + lost|), `lost` being the small part of a sum that did not fit into v."""
    e = torch.exp(-v.abs())
    return e if isinstance(lost, float) else e * (1 - v.sign() * lost)


def _softplus(v: Tensor, lost: Tensor | float = 0.0) -> Tensor:
    return v.clamp(min=0) + torch.log1p(_decay(v, lost))


def _sigmoid(v: Tensor, lost: Tensor | float = 0.0) -> Tensor:
    e = _decay(v, lost)
    return torch.where(v >= 0, torch.ones_like(e), e) / (1 + e)


def _power(s: Tensor, e: Tensor, u: Tensor, gamma: float) -> Tensor:
    """sigmoid(u)**gamma, with what float32 would lose of it by rounding gamma and, for a large gamma, the sigmoid."""
    held = _round(gamma, s.dtype)
    power = s**held
    if held != gamma:  # s**d = 1 + d log s, and log s = min(u, 0) - log(1 + e)
        power = power * (1 + (gamma - held) * (u.clamp(-1e4, 0) - torch.log1p(e)))
    if gamma > 2 and s.dtype == torch.float32:
        total, lost_sum = _two_sum(torch.ones_like(e), e)
        product, lost_product = _two_product(s, total)
        numerator = torch.where(u >= 0, 1.0, e).clamp(min=torch.finfo(e.dtype).tiny)
        residue = (numerator - product) - lost_product - s * lost_sum  # of numerator / (1 + e), which s rounds
        power = power * (1 + gamma * residue / numerator)
    return power


def _affine(gamma: float, u: Tensor, shift: float) -> tuple[Tensor, Tensor]:
    """gamma u + shift as its rounded value and what rounding lost, that of gamma and shift included."""
    u = u.clamp(-1e15, 1e15)  # far beyond where exp(-|v|) is 0
    g, c = _round(gamma, u.dtype), _round(shift, u.dtype)
    product, lost_product = _two_product(torch.full_like(u, g), u)
    v, lost_sum = _two_sum(product, torch.full_like(u, c))
    return v, lost_product + lost_sum + ((gamma - g) * u + (shift - c))


def _two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a + b rounded, and exactly what rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a * b rounded, and exactly what rounding lost (Dekker)."""
    product = a * b
    a1, a2 = _halves(a)
    b1, b2 = _halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: Tensor) -> tuple[Tensor, Tensor]:
    shifted = a * (2.0 ** (12 if a.dtype == torch.float32 else 27) + 1)
    high = shifted - (shifted - a)
    return high, a - high


def _round(number: float, dtype: torch.dtype) -> float:
    return float(torch.tensor(number, dtype=dtype))


def _normaliser(labels: Tensor) -> Tensor:
    return (labels >= 0).sum().clamp(min=1)


def _rows(x: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Some rows at a time: few enough for a CPU's caches, or many enough for a GPU; torch.compile gets all."""
    count = max(1, (2**20 if x.device.type == "cpu" else 2**25) // max(1, x.shape[1]))
    if torch.compiler.is_compiling():
        count = max(1, len(x))
    return zip(*(tensor.split(count) for tensor in (x, *others)), strict=True)
