"""Wrong solutions of the layers, one mistake each, and right ones of another hand (see `mistakes`)."""

from __future__ import annotations

from tests.course.mistakes import Wrong

RIGHT = {
    "conv2d": """
def conv2d(x, weight, bias=None, stride=1, padding=0, groups=1):
    n, k = len(weight) // groups, weight.shape[2]
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    h, w = [(side - k) // stride + 1 for side in x.shape[2:]]
    y = np.zeros((len(x), len(weight), h, w), x.dtype)
    for g in range(groups):
        part = x[:, g * weight.shape[1] : (g + 1) * weight.shape[1]]
        for u in range(k):
            for v in range(k):
                seen = part[:, :, u : u + stride * h : stride, v : v + stride * w : stride]
                taps = weight[g * n : (g + 1) * n, :, u, v]
                y[:, g * n : (g + 1) * n] += np.einsum("oc,bchw->bohw", taps, seen)
    if bias is not None:
        y += bias.reshape(1, -1, 1, 1)
    return y
""",
    "conv2d_grad": """
def conv2d_grad(grad, x, weight, stride=1, padding=0, groups=1):
    n, k, c = len(weight) // groups, weight.shape[2], weight.shape[1]
    p, (h, w) = padding, grad.shape[2:]
    x_padded = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)])
    dx, dw = np.zeros_like(x_padded), np.zeros_like(weight)
    for g in range(groups):
        own, out = slice(g * c, (g + 1) * c), slice(g * n, (g + 1) * n)
        for u in range(k):
            for v in range(k):
                at = (slice(None), own, slice(u, u + stride * h, stride), slice(v, v + stride * w, stride))
                dx[at] += np.einsum("oc,bohw->bchw", weight[out, :, u, v], grad[:, out])
                dw[out, :, u, v] = np.einsum("bohw,bchw->oc", grad[:, out], x_padded[at])
    return dx[:, :, p : p + x.shape[2], p : p + x.shape[3]], dw, grad.sum(axis=(0, 2, 3))
""",
    "batch_norm": """
def batch_norm(x, weight, bias, eps=1e-5):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        y[:, c] = weight[c] * (values - values.mean()) / np.sqrt(values.var() + eps) + bias[c]
    return y
""",
    "batch_norm_grad": """
def batch_norm_grad(grad, x, weight, eps=1e-5):
    n = x[:, 0].size
    dx, dw, db = np.empty_like(x), np.empty_like(weight), np.empty_like(weight)
    for c in range(x.shape[1]):
        g, centred = grad[:, c], x[:, c] - x[:, c].mean()
        r = 1 / np.sqrt(x[:, c].var() + eps)
        dw[c], db[c] = (g * centred * r).sum(), g.sum()
        dx[:, c] = weight[c] * r * (g - g.mean() - centred * r**2 * (g * centred).sum() / n)
    return dx, dw, db
""",
    "max_pool2d": """
def max_pool2d(x, size=3, stride=2, padding=1):
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)], constant_values=-np.inf)
    h, w = [(side - size) // stride + 1 for side in x.shape[2:]]
    y = np.full((*x.shape[:2], h, w), -np.inf, x.dtype)
    for u in range(size):
        for v in range(size):
            y = np.maximum(y, x[:, :, u : u + stride * h : stride, v : v + stride * w : stride])
    return y
""",
    "max_pool2d_grad": """
def max_pool2d_grad(grad, x, size=3, stride=2, padding=1):
    p = padding
    inside = np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)], constant_values=-np.inf)
    dx = np.zeros_like(inside)
    for b, c, i, j in np.ndindex(*grad.shape):
        window = inside[b, c, stride * i : stride * i + size, stride * j : stride * j + size]
        u, v = divmod(int(np.argmax(window)), size)
        dx[b, c, stride * i + u, stride * j + v] += grad[b, c, i, j]
    return dx[:, :, p : p + x.shape[2], p : p + x.shape[3]]
""",
    "upsample_nearest": """
def upsample_nearest(x, size):
    h, w = size
    y = np.empty((*x.shape[:2], h, w), x.dtype)
    for i in range(h):
        for j in range(w):
            y[:, :, i, j] = x[:, :, i * x.shape[2] // h, j * x.shape[3] // w]
    return y
""",
    "upsample_nearest_grad": """
def upsample_nearest_grad(grad, x):
    dx = np.zeros_like(x)
    (h, w), (hx, wx) = grad.shape[2:], x.shape[2:]
    for i in range(h):
        for j in range(w):
            dx[:, :, i * hx // h, j * wx // w] += grad[:, :, i, j]
    return dx
""",
}
"""Written with loops over the places of a filter or of a map, not as the reference is."""

CHANGES = [
    (
        "conv2d",
        "weight[g * n : (g + 1) * n, :, u, v]",
        "weight[g * n : (g + 1) * n, :, k - 1 - u, k - 1 - v]",
        "you turn it round",
    ),
    ("conv2d", "weight[g * n : (g + 1) * n, :, u, v]", "weight[g * n : (g + 1) * n, :, v, u]", "yours is transposed"),
    (
        "conv2d",
        "(padding, padding), (padding, padding)])",
        "(padding, padding), (padding, padding)], 'edge')",
        "you repeat its border",
    ),
    (
        "conv2d",
        "[(0, 0), (0, 0), (padding, padding), (padding, padding)]",
        "[(0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)]",
        "below and at the right",
    ),
    ("conv2d", "(side - k) // stride + 1", "(side - k) // stride", "one row and one column fewer"),
    ("conv2d", "y += bias.reshape(1, -1, 1, 1)", "pass", "bias makes no difference"),
    ("conv2d", "y += bias", "y -= bias", "you subtract it"),
    ("conv2d", "    n, k =", "    stride = 1\n    n, k =", "stride makes no difference"),
    ("conv2d", "    n, k =", "    padding = 0\n    n, k =", "padding makes no difference"),
    (
        "conv2d",
        "x[:, g * weight.shape[1] : (g + 1) * weight.shape[1]]",
        "x[:, g::groups]",
        "groups|its own part of the channels",
    ),
    (
        "conv2d",
        'np.einsum("oc,bchw->bohw", taps, seen)',
        'np.einsum("oc,bchw->bohw", taps, seen) / taps.shape[1]',
        "you take their mean",
    ),
    (
        "conv2d",
        "u : u + stride * h : stride, v : v + stride * w : stride",
        "u : u + stride * h : stride, v : v + w",
        "in rows only",
    ),
    (
        "conv2d_grad",
        "weight[out, :, u, v], grad",
        "weight[out, :, k - 1 - u, k - 1 - v], grad",
        "you read the filter from its end",
    ),
    ("conv2d_grad", "dw[out, :, u, v] =", "dw[out, :, k - 1 - u, k - 1 - v] =", "yours is turned round"),
    ("conv2d_grad", "dx[at] +=", "dx[at] =", "collects from all of them|you keep the last one"),
    ("conv2d_grad", "grad.sum(axis=(0, 2, 3))", "grad.mean(axis=(0, 2, 3))", "you take the mean"),
    ("conv2d_grad", "grad.sum(axis=(0, 2, 3))", "grad.sum(axis=(0, 2, 3)) / len(x)", "you divide by their number"),
    (
        "conv2d_grad",
        '"bohw,bchw->oc", grad[:, out], x_padded[at])',
        '"bohw,bchw->oc", grad[:, out], x_padded[at]) / len(x)',
        "you take their mean",
    ),
    (
        "conv2d_grad",
        "return dx[:, :, p : p + x.shape[2], p : p + x.shape[3]], dw,",
        "return dw, dx[:, :, p : p + x.shape[2], p : p + x.shape[3]],",
        "in this order",
    ),
    (
        "conv2d_grad",
        "dx[:, :, p : p + x.shape[2], p : p + x.shape[3]], dw",
        "dx, dw",
        "yours has the padding around it",
    ),
    ("batch_norm", "values.var()", "values.var(ddof=1)", "yours by n - 1"),
    ("batch_norm", "np.sqrt(values.var() + eps)", "(values.std() + eps)", "to the standard deviation"),
    ("batch_norm", "np.sqrt(values.var() + eps)", "(values.var() + eps)", "by the variance"),
    ("batch_norm", "values.mean()) / np.sqrt(values.var()", "x.mean()) / np.sqrt(x.var()", "all channels together"),
    (
        "batch_norm",
        "values.mean()) / np.sqrt(values.var() + eps)",
        "values.mean((1, 2), keepdims=True)) / np.sqrt(values.var((1, 2), keepdims=True) + eps)",
        "of each image",
    ),
    ("batch_norm", "(values - values.mean())", "values", "you only divide"),
    (
        "batch_norm",
        "weight[c] * (values - values.mean()) / np.sqrt(values.var() + eps) + bias[c]",
        "weight[c] * ((values - values.mean()) / np.sqrt(values.var() + eps) + bias[c])",
        "you add the bias first",
    ),
    ("batch_norm", "y[:, c] = weight[c] *", "y[:, c] =", "times weight|weight"),
    (
        "batch_norm_grad",
        "(g - g.mean() - centred * r**2 * (g * centred).sum() / n)",
        "g",
        "you take them for constants",
    ),
    ("batch_norm_grad", " - centred * r**2 * (g * centred).sum() / n", "", "the variance depends on x too"),
    ("batch_norm_grad", "g - g.mean() - ", "g - ", "the mean depends on x too"),
    ("batch_norm_grad", "weight[c] * r * (g", "r * (g", "the weight is missing"),
    ("batch_norm_grad", "weight[c] * r * (g", "weight[c] * (g", "the division by s is missing"),
    ("batch_norm_grad", "(g * centred * r).sum(), g.sum()", "(g * centred * r).mean(), g.mean()", "you take means"),
    ("batch_norm_grad", "(g * centred * r).sum()", "(g * x[:, c]).sum()", "you have x itself"),
    ("batch_norm_grad", "g.mean() - centred", "g.mean() + centred", "you add it"),
    ("batch_norm_grad", "(g * centred).sum() / n", "2 * (g * centred).sum() / n", "twice as large"),
    ("max_pool2d", ", constant_values=-np.inf", "", "yours is 0"),
    (
        "max_pool2d",
        "np.maximum(y, x[",
        "(y if np.isfinite(y).any() else 0) + (1 / size**2) * (x[",
        "you take the mean|largest",
    ),
    ("max_pool2d", "(side - size) // stride + 1", "(side - size) // stride", "one row and one column fewer"),
    ("max_pool2d", "    x = np.pad", "    stride = size\n    x = np.pad", "`size` pixels apart"),
    (
        "max_pool2d",
        "[(0, 0), (0, 0), (padding, padding), (padding, padding)]",
        "[(0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)]",
        "below and at the right",
    ),
    ("max_pool2d_grad", "+= grad[b", "= grad[b", "you keep the last one"),
    (
        "max_pool2d_grad",
        "int(np.argmax(window))",
        "size * size - 1 - int(np.argmax(window.ravel()[::-1]))",
        "you take the last",
    ),
    ("max_pool2d_grad", ", constant_values=-np.inf", "", "takes gradients away"),
    (
        "max_pool2d_grad",
        "dx[b, c, stride * i + u, stride * j + v] += grad[b, c, i, j]",
        "dx[b, c, stride * i : stride * i + size, stride * j : stride * j + size] += grad[b, c, i, j] * (window == window.max())",
        "goes to all of them",
    ),
    (
        "max_pool2d_grad",
        "dx[b, c, stride * i + u, stride * j + v] += grad[b, c, i, j]",
        "dx[b, c, stride * i : stride * i + size, stride * j : stride * j + size] += grad[b, c, i, j] / size**2",
        "over the whole window",
    ),
    (
        "upsample_nearest",
        "x[:, :, i * x.shape[2] // h, j * x.shape[3] // w]",
        "x[:, :, i % x.shape[2], j % x.shape[3]]",
        "you repeat the whole map",
    ),
    ("upsample_nearest", "    h, w = size", "    w, h = size", "you have exchanged them"),
    (
        "upsample_nearest",
        "i * x.shape[2] // h, j * x.shape[3] // w",
        "min(round(i * x.shape[2] / h), x.shape[2] - 1), min(round(j * x.shape[3] / w), x.shape[3] - 1)",
        "floor",
    ),
    (
        "upsample_nearest",
        "i * x.shape[2] // h, j * x.shape[3] // w",
        "min(i // max(1, h // x.shape[2]), x.shape[2] - 1), min(j // max(1, w // x.shape[3]), x.shape[3] - 1)",
        "a whole factor",
    ),
    ("upsample_nearest_grad", "+= grad", "= grad", "you keep the last one"),
    ("upsample_nearest_grad", "    return dx", "    return dx * (hx * wx) / (h * w)", "the sum over its copies|copies"),
    ("upsample_nearest_grad", "i * hx // h, j * wx // w", "i % hx, j % wx", "repeated as a whole"),
    (
        "upsample_nearest_grad",
        "+= grad[:, :, i, j]",
        "+= grad[:, :, i, j] * (i * hx % h < hx and j * wx % w < wx)",
        "the first one only",
    ),
]
"""A function of RIGHT, what is changed in it, into what, and what the hint must say."""


def _changed(function: str, old: str, new: str) -> str:
    assert RIGHT[function].count(old) == 1, (function, old)
    return RIGHT[function].replace(old, new)


MISTAKES = [
    Wrong("a7", function, f"{old} -> {new}", hint, _changed(function, old, new)) for function, old, new, hint in CHANGES
]
