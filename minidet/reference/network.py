"""RetinaNet in NumPy, forwards and backwards: the network with its weights (section 4).

Parameters and buffers have the names and shapes of ``minidet.pytorch``'s, so that weights go both ways.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidet import checks
from minidet.config import RetinaNetConfig
from minidet.reference.anchors import pyramid_anchors
from minidet.reference.architecture import retinanet
from minidet.reference.postprocess import postprocess
from minidet.reference.tape import Tape, Value
from minidet.structures import Detections


class RetinaNet:
    """The network of figure 3, initialised as section 4.1 says.

    >>> net = RetinaNet(RetinaNetConfig.tiny(num_classes=3))
    >>> logits, deltas = net.forward(np.zeros((2, 3, 64, 64)))
    >>> [level.shape for level in logits]
    [(2, 576, 3), (2, 144, 3), (2, 36, 3), (2, 9, 3)]

    Args:
        config: the architecture; the same as the PyTorch network's.
        seed: of the first weights.
        dtype: floating type of parameters and results.
    """

    def __init__(self, config: RetinaNetConfig, seed: int = 0, dtype: DTypeLike = np.float64) -> None:
        self.config, self.dtype = config, np.dtype(dtype)
        self.state: dict[str, np.ndarray] = {}
        """Name -> array: what PyTorch's ``state_dict()`` holds, in its order."""
        rng = np.random.default_rng(seed)
        tape = Tape(self.state, False, lambda name, shape: first_value(name, shape, config, rng, self.dtype))
        retinanet(tape, Value(np.zeros((1, 3, 1, 1), self.dtype)), config)  # one pixel meets every layer
        self._last: tuple[Tape, Value, list[Value], list[Value]] | None = None  # what `backward` starts from

    def load(self, state: Mapping[str, ArrayLike]) -> None:
        """Take over weights, all or none.

        Args:
            state: name -> array, the names and shapes of `self.state`; values are rounded to the network's type.

        Raises:
            ValueError: names are missing or unknown, shapes differ, or a value is no array of numbers.
        """
        arrays = {name: checks.layers.numbers(f"state[{name!r}]", value) for name, value in state.items()}
        faults = {
            "missing": [name for name in self.state if name not in arrays],
            "unknown": [name for name in arrays if name not in self.state],
            "of another shape": [
                f"{name} {value.shape} instead of {self.state[name].shape}"
                for name, value in arrays.items()
                if name in self.state and value.shape != self.state[name].shape
            ],
        }
        if any(faults.values()):
            raise ValueError(
                "the weights do not fit the network, check its configuration; "
                + "; ".join(f"{len(names)} {fault}: {', '.join(names)}" for fault, names in faults.items() if names)
            )
        for name, value in arrays.items():
            self.state[name][...] = value

    def forward(self, images: ArrayLike, training: bool = True) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The logits and box deltas of every anchor. NaN and infinity pass through: a training loop sees them.

        Args:
            images: (B, 3, H, W), floating, RGB normalised with the configuration's mean and std; any H and W from 1 on.
            training: keep what `backward` needs, and let batch normalisation use the batch's statistics.

        Returns:
            Two lists over the levels: logits (B, N_level, K) and deltas (B, N_level, 4), anchors in the order y, x,
            anchor of the cell.

        Raises:
            ValueError: images of another shape or no floating type.
        """
        x = Value(checks.layers.images(images).astype(self.dtype))
        tape = Tape(self.state, training)
        with np.errstate(all="ignore"):  # NaN and infinity pass through
            logits, deltas = retinanet(tape, x, self.config)
        if training:
            self._last = tape, x, logits, deltas
        return [level.data for level in logits], [level.data for level in deltas]

    def backward(
        self, grad_logits: Sequence[ArrayLike], grad_deltas: Sequence[ArrayLike], images: bool = False
    ) -> dict[str, np.ndarray]:
        """The gradient of every parameter, for the last `forward` in training; once for each.

        Args:
            grad_logits, grad_deltas: d loss / d logits and d loss / d deltas, of the shapes that `forward` returned.
            images: also give the gradient of the images, (B, 3, H, W), by the name "images".

        Returns:
            Parameter name -> d loss / d parameter, of the parameter's shape.

        Raises:
            ValueError: there was no such `forward`, or the gradients do not fit its results.
        """
        if self._last is None:
            raise ValueError("there is nothing to go back through: call forward(images) once for each backward")
        tape, x, logits, deltas = self._last
        grads = checks.layers.gradients("grad_logits", grad_logits, [level.data for level in logits])
        grads += checks.layers.gradients("grad_deltas", grad_deltas, [level.data for level in deltas])
        self._last = None
        for level, grad in zip(logits + deltas, grads, strict=True):
            level.collect(grad)
        x.wanted = images
        with np.errstate(all="ignore"):
            found = tape.backward()
        return found if x.grad is None else {**found, "images": x.grad}

    def detect(
        self, images: ArrayLike, image_sizes: Sequence[tuple[int, int]] | None = None
    ) -> list[Detections[np.ndarray]]:
        """What the network finds in each image (section 4.1, "Inference").

        Args:
            images: as for `forward`, and finite.
            image_sizes: (height, width) of each image in a batch that was padded at the right and the bottom; boxes are
                clipped to it, by default to (H, W).

        Returns:
            Detections for each image, best score first: boxes (D, 4) in pixels of the input, scores (D,), classes (D,).

        Raises:
            ValueError: bad images, or sizes that do not fit them.
        """
        x = checks.layers.images(images, finite=True)
        sizes = checks.layers.image_sizes(image_sizes, x)
        logits, deltas = self.forward(x, training=False)
        anchors = pyramid_anchors(x.shape[2:], self.config.anchors, self.dtype)
        return [
            postprocess([x[i] for x in logits], [d[i] for d in deltas], anchors, size, self.config.postprocess)
            for i, size in enumerate(sizes)
        ]


def first_value(
    name: str, shape: tuple[int, ...], config: RetinaNetConfig, rng: np.random.Generator, dtype: np.dtype
) -> np.ndarray:
    """How a parameter or buffer starts (section 4.1, "Initialization").

    Convs of the backbone are Gaussian with variance 2 / fan_out (He et al., 2015), of the pyramid uniform with variance
    1 / fan_in (the FPN paper's code), of the subnets Gaussian with a standard deviation of 0.01. Biases are 0, but the
    last one of the class subnet is -log((1 - pi) / pi): every score starts at the prior pi.
    """
    if name == "class_subnet.output.bias":
        return np.full(shape, config.prior_logit, dtype)
    if len(shape) < 4:
        kind = np.int64 if name.endswith("num_batches_tracked") else dtype
        return np.full(shape, name.endswith(("weight", "running_var")), kind)
    outputs, inputs, k, _ = shape
    if name.startswith("backbone"):
        value = rng.normal(0, math.sqrt(2 / (outputs * k * k)), shape)
    elif name.startswith("fpn"):
        bound = math.sqrt(3 / (inputs * k * k))  # a uniform distribution's variance is bound**2 / 3
        value = rng.uniform(-bound, bound, shape)
    else:
        value = rng.normal(0, 0.01, shape)
    return value.astype(dtype)
