"""COCO's matching and its curves: the part of the evaluation that has to be fast, compiled.

NumPy makes the arrays that the kernels return: in a kernel, a line that makes or compares whole arrays costs as much
compilation as twenty that count. The images of a class do not depend on one another, nor do the classes: each core
takes its share.
"""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import helper, parallel_kernel


def match(
    boxes: np.ndarray, order: np.ndarray, gt_boxes: np.ndarray, gt_areas: np.ndarray, gt_crowd: np.ndarray,
    bounds: np.ndarray, iou_thresholds: np.ndarray, area_ranges: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Who takes which object: the outcome of every detection for every area range and IoU threshold.

    Args:
        boxes: (D, 4) detections (x, y, width, height).
        order: (D,) indices of detections, by class, then image, then score, the best first.
        gt_boxes: (G, 4) objects, by class, then image.
        gt_areas: (G,) pixels².
        gt_crowd: (G,) bool.
        bounds: (groups, 4) for each class in each image, its detections ``order[first:last]`` and its objects
            first:last.
        iou_thresholds: (T,), at most 16.
        area_ranges: (A, 2) pixels².

    Returns:
        Two arrays (A, D) uint16, in that order, whose bit t is set where, at threshold t, the detection is a true
        positive and where it is ignored. It is a false positive where neither is set.
    """
    right, ignored = np.zeros((2, len(area_ranges), len(boxes)), np.uint16)
    aside, taken = np.empty(len(gt_boxes), np.bool_), np.empty((len(gt_boxes), len(iou_thresholds)), np.bool_)
    _match(
        len(bounds), right.size * len(iou_thresholds), boxes, order, gt_boxes, gt_areas, gt_crowd, bounds,
        iou_thresholds, area_ranges, aside, taken, right, ignored,
    )  # fmt: skip
    return right, ignored


@parallel_kernel
def _match(
    first_group, last_group, boxes, order, gt_boxes, gt_areas, gt_crowd, bounds, iou_thresholds, area_ranges, aside,
    taken, right, ignored,
):  # fmt: skip
    """`match` into the last two arguments; the two before them are room for what is known of the objects."""
    most, most_objects = 0, 0
    for i in range(first_group, last_group):
        most = max(most, bounds[i, 1] - bounds[i, 0])
        most_objects = max(most_objects, bounds[i, 3] - bounds[i, 2])
    ious = np.empty((most, most_objects))
    everywhere = (1 << len(iou_thresholds)) - 1
    lowest = np.inf
    for t in range(len(iou_thresholds)):
        lowest = min(lowest, iou_thresholds[t])
    for i in range(first_group, last_group):
        first, last, gt_first, gt_last = bounds[i, 0], bounds[i, 1], bounds[i, 2], bounds[i, 3]
        objects = gt_last - gt_first
        for d in range(first, last):
            for g in range(objects):
                ious[d - first, g] = iou_with_object(boxes, order[d], gt_boxes, gt_first + g, gt_crowd[gt_first + g])
        for a in range(len(area_ranges)):
            low, high = area_ranges[a, 0], area_ranges[a, 1]
            for g in range(objects):
                area = gt_areas[gt_first + g]
                aside[gt_first + g] = gt_crowd[gt_first + g] or area < low or area > high
                for t in range(len(iou_thresholds)):
                    taken[gt_first + g, t] = False
            for d in range(last - first):
                area = boxes[order[first + d], 2] * boxes[order[first + d], 3]
                outside = area < low or area > high
                near = False
                for g in range(objects):
                    near |= ious[d, g] >= lowest
                if not near:  # the usual case: nothing to be matched at any threshold
                    if outside:
                        ignored[a, first + d] = everywhere
                    continue
                for t in range(len(iou_thresholds)):
                    match, best = -1, iou_thresholds[t]
                    for last_resort in (False, True):  # an ignored object is matched only where no other one is
                        if match >= 0:
                            break
                        for g in range(objects):
                            free = gt_crowd[gt_first + g] or not taken[gt_first + g, t]
                            # "not <": of equal IoUs, the later object wins, as in pycocotools
                            if aside[gt_first + g] == last_resort and free and not ious[d, g] < best:
                                match, best = g, ious[d, g]
                    if match >= 0:
                        taken[gt_first + match, t] = True
                    if aside[gt_first + match] if match >= 0 else outside:
                        ignored[a, first + d] |= 1 << t
                    elif match >= 0:
                        right[a, first + d] |= 1 << t


@helper
def iou_with_object(boxes, i, gt_boxes, g, crowd):
    """The IoU of two (x, y, width, height) boxes, every rounding as in ``bbIou`` of COCO's maskApi.c.

    With a crowd it is intersection / area of the detection.
    """
    x, y, w, h = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
    gt_x, gt_y, gt_w, gt_h = gt_boxes[g, 0], gt_boxes[g, 1], gt_boxes[g, 2], gt_boxes[g, 3]
    width = min(w + x, gt_w + gt_x) - max(x, gt_x)
    height = min(h + y, gt_h + gt_y) - max(y, gt_y)
    if not (width > 0 and height > 0):
        return 0.0
    intersection = width * height
    return intersection / (w * h if crowd else w * h + gt_w * gt_h - intersection)


def accumulate(
    right: np.ndarray, ignored: np.ndarray, by_score: np.ndarray, scores: np.ndarray, rank: np.ndarray,
    bounds: np.ndarray, objects: np.ndarray, thresholds: int, recall_thresholds: np.ndarray,
    max_detections: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The curves of all classes from what became of their detections.

    A curve is kept at true positives only: elsewhere recall stands still and precision falls or stays. So a false
    positive only has to be counted, once for all thresholds.

    Args:
        right: (A, D) of `match`.
        ignored: (A, D) of `match`.
        by_score: (D,) indices of detections, by class, then score, the best first.
        scores: (D,) those of the detections of ``by_score``, in that order.
        rank: (D,) place of a detection among those of its class in its image, from 0.
        bounds: (K + 1,) class k has the detections ``by_score[bounds[k]:bounds[k + 1]]``.
        objects: (K, A) how many objects count.
        thresholds: T, how many IoU thresholds there are.
        recall_thresholds: (R,) ascending.
        max_detections: (M,) limits per image and class, ascending.

    Returns:
        Precision (T, R, K, A, M), the envelope; recall (T, K, A, M) at the end of the list; and (T, R, K, A, M) the
        score at which each recall is reached; -1 without objects.
    """
    shape = len(bounds) - 1, len(right), len(max_detections)
    precision, reached = np.full((2, thresholds, len(recall_thresholds), *shape), -1.0)
    recall = np.full((thresholds, *shape), -1.0)
    found, left_out = np.empty((2, shape[0], thresholds, shape[2]), np.int64)
    seen, first = np.empty((shape[0], shape[2]), np.int64), np.empty((shape[0], shape[2]))
    _accumulate(
        shape[0], right.size, right, ignored, by_score, scores, rank, bounds, objects, recall_thresholds,
        max_detections, found, left_out, seen, first, precision, recall, reached,
    )  # fmt: skip
    return precision, recall, reached


@parallel_kernel
def _accumulate(
    first_class, last_class, right, ignored, by_score, scores, rank, bounds, objects, recall_thresholds,
    max_detections, found, left_out, seen, first, precision, recall, reached,
):  # fmt: skip
    """`accumulate` into the last three arguments; the four before them are room for one area range.

    ``curve`` (T, M, objects) is the precision after the (j + 1)-th true positive, and ``score`` its score; ``found``
    and ``left_out`` (K, T, M) count true positives and ignored detections, ``seen`` (K, M) all, and ``first`` (K, M) is
    the best score, where pycocotools has the recall 0.
    """
    T, M = len(recall), len(max_detections)
    most = 0
    for k in range(first_class, last_class):
        for a in range(len(right)):
            most = max(most, objects[k, a])
    curve, score = np.empty((T, M, most)), np.empty((T, M, most))
    for k in range(first_class, last_class):
        for a in range(len(right)):
            count = objects[k, a]
            if not count:
                continue
            for m in range(M):
                first[k, m], seen[k, m] = 0.0, 0
                for t in range(T):
                    found[k, t, m], left_out[k, t, m] = 0, 0
            for place in range(bounds[k], bounds[k + 1]):
                d = by_score[place]
                hits, aside = right[a, d], ignored[a, d]
                for m in range(M - 1, -1, -1):
                    if rank[d] >= max_detections[m]:
                        break
                    if not seen[k, m]:
                        first[k, m] = scores[place]
                    seen[k, m] += 1
                    if hits or aside:
                        for t in range(T):
                            left_out[k, t, m] += (aside >> t) & 1
                            if (hits >> t) & 1:
                                n = found[k, t, m]
                                counted = seen[k, m] - left_out[k, t, m]  # right or wrong
                                curve[t, m, n] = (n + 1) / (counted + 2.0**-52)  # pycocotools' 2^-52
                                score[t, m, n] = scores[place]
                                found[k, t, m] = n + 1
            for t in range(T):
                for m in range(M):
                    length = found[k, t, m]
                    for j in range(length - 1, 0, -1):  # the envelope
                        curve[t, m, j - 1] = max(curve[t, m, j - 1], curve[t, m, j])
                    j = 0
                    for r in range(len(recall_thresholds)):
                        while j < length and (j + 1) / count < recall_thresholds[r]:
                            j += 1
                        precision[t, r, k, a, m] = curve[t, m, j] if j < length else 0.0
                        reached[t, r, k, a, m] = score[t, m, j] if j < length else 0.0
                        if recall_thresholds[r] <= 0:
                            reached[t, r, k, a, m] = first[k, m]
                    recall[t, k, a, m] = length / count
