"""Part d: the dense loss beside the copy bandwidth, assignment, post-processing and suppression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from minidet.config import AnchorConfig, PostprocessConfig
from minidet.pytorch import assign_anchors, dense_focal_loss, nms, pyramid_anchors, tensors
from minidet.pytorch.batched import postprocess_batch
from tests.benchmarks.device.recorder import Place
from tests.ops import random_boxes


def value_and_gradient(loss: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Callable[[], None]:
    """A call that computes both and keeps neither."""

    def call() -> None:
        x.grad = None
        loss(x).backward()

    return call


def dense(place: Place) -> None:
    """Seconds of a copy of the logits, and of the loss with its gradient, ours and others.

    A call by itself includes what its host does before and after; in a row, and with arguments that were checked
    before, as in training, the host runs ahead, and what counts is the device's time.
    """
    record, n = place.recorder, 1000 if place.small else 16 * 200_000
    torch.manual_seed(0)
    x = torch.randn(n, 80, device=place.device) * 2 - 4
    labels = torch.full((n,), -1, device=place.device)
    labels[::997], labels[::101] = 3, -2

    def in_rows(call: Callable[[], object], count: int = 1 if place.small else 10) -> float:
        def calls() -> None:
            with tensors.trusted():
                for _ in range(count):
                    call()

        return place.seconds(calls, rounds=5) / count

    target = torch.empty_like(x)
    copy, copies = place.seconds(lambda: target.copy_(x)), in_rows(lambda: target.copy_(x))
    record.record("copy", {"seconds": copy, "in a row": copies, "GB/s": 2 * x.numel() * 4 / copies / 1e9})
    x.requires_grad_()

    def share(loss: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], dict[str, float]]:
        def measure() -> dict[str, float]:
            call = value_and_gradient(loss, x)
            seconds, in_a_row = place.seconds(call), in_rows(call)
            return {
                "seconds": seconds, "share of the copy bandwidth": copy / seconds, "in a row": in_a_row,
                "its share of copies in a row": copies / in_a_row,
            }  # fmt: skip

        return measure

    one_hot = torch.zeros(n, 80, device=place.device)
    one_hot[labels >= 0, 3] = 1

    def theirs(x: torch.Tensor) -> torch.Tensor:
        from torchvision.ops import sigmoid_focal_loss

        return sigmoid_focal_loss(x, one_hot, reduction="sum")

    record.attempt("minidet's loss", share(lambda x: dense_focal_loss(x, labels)))
    record.attempt("minidet's loss, gamma 1.5", share(lambda x: dense_focal_loss(x, labels, 1.5)))
    record.attempt("torchvision's loss", share(theirs))
    if not place.small:
        record.attempt("torchvision's loss, compiled", share(torch.compile(theirs)))


def suppression(place: Place) -> None:
    """Non-maximum suppression of many boxes."""
    boxes_of = random_boxes(np.random.default_rng(0), 300 if place.small else 20_000, 1200.0, np.float32)
    boxes = torch.from_numpy(boxes_of).to(place.device)
    scores = torch.rand(len(boxes), device=place.device)

    def theirs() -> float:
        from torchvision.ops import nms as other

        assert torch.equal(other(boxes, scores, 0.5), nms(boxes, scores, 0.5))
        return place.seconds(lambda: other(boxes, scores, 0.5))

    place.recorder.attempt("minidet's nms", lambda: place.seconds(lambda: nms(boxes, scores, 0.5)))
    place.recorder.attempt("torchvision's nms", theirs)


def assignment(place: Place) -> None:
    """Sixteen images with fifty boxes each."""
    size = (96, 96) if place.small else (800, 1344)
    anchors = torch.cat(pyramid_anchors(size, AnchorConfig(), device=place.device))
    rng = np.random.default_rng(1)
    images = [torch.from_numpy(random_boxes(rng, 50, size[0], np.float32)).to(place.device) for _ in range(16)]

    def theirs() -> float:
        from torchvision.models.detection._utils import Matcher
        from torchvision.ops import box_iou

        matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)
        return place.seconds(lambda: [matcher(box_iou(boxes, anchors)) for boxes in images])

    def ours() -> float:
        return place.seconds(lambda: [assign_anchors(anchors, boxes, 0.5, 0.4, True) for boxes in images])

    place.recorder.attempt("minidet's assignment", ours)
    place.recorder.attempt("torchvision's assignment", theirs)


def postprocessing(place: Place) -> None:
    """From the outputs for sixteen images to detections."""
    size, images = ((96, 96), 2) if place.small else ((800, 1344), 16)
    anchors = pyramid_anchors(size, AnchorConfig.torchvision(), device=place.device)
    torch.manual_seed(0)
    logits = [torch.randn(images, len(level), 80, device=place.device) * 2 - 6.3 for level in anchors]
    deltas = [torch.randn(images, len(level), 4, device=place.device) * 0.3 for level in anchors]
    sizes, found = [size] * images, dict[str, Any]()

    def ours() -> float:
        def call() -> None:
            found["ours"] = postprocess_batch(logits, deltas, anchors, sizes, PostprocessConfig())

        with torch.inference_mode():
            return place.seconds(call)

    def theirs() -> dict[str, Any]:
        from torchvision.models.detection import retinanet_resnet50_fpn

        peer = retinanet_resnet50_fpn(weights=None, weights_backbone=None, detections_per_img=100).eval()
        outputs = {"cls_logits": logits, "bbox_regression": deltas}

        def call() -> None:
            found["theirs"] = peer.postprocess_detections(outputs, [anchors] * images, sizes)

        with torch.inference_mode():
            seconds = place.seconds(call)
        pairs = zip(found["ours"], found["theirs"], strict=True)
        return {"seconds": seconds, "the same": all(torch.allclose(a.scores, b["scores"]) for a, b in pairs)}

    place.recorder.attempt("minidet's post-processing", ours)
    place.recorder.attempt("torchvision's post-processing", theirs)


def main() -> None:
    place = Place("d")
    for measure in (dense, suppression, postprocessing, assignment):
        place.recorder.attempt(measure.__name__, lambda measure=measure: measure(place))


if __name__ == "__main__":
    main()
