"""COCO's matching and its curves: the part of the evaluation that has to be fast, compiled."""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import helper, kernel


@kernel
def match(boxes, order, gt_boxes, gt_areas, gt_crowd, bounds, iou_thresholds, area_ranges):
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
    everywhere = (1 << len(iou_thresholds)) - 1
    lowest = iou_thresholds.min()
    for i in range(len(bounds)):
        first, last, gt_first, gt_last = bounds[i]
        crowd = gt_crowd[gt_first:gt_last]
        own = order[first:last]
        ious = box_iou(boxes, own, gt_boxes[gt_first:gt_last], crowd)
        for a in range(len(area_ranges)):
            low, high = area_ranges[a]
            aside = crowd | (gt_areas[gt_first:gt_last] < low) | (gt_areas[gt_first:gt_last] > high)
            taken = np.zeros((len(iou_thresholds), len(crowd)), np.bool_)
            for d in range(last - first):
                area = boxes[own[d], 2] * boxes[own[d], 3]
                outside = area < low or area > high
                near = False
                for g in range(len(crowd)):
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
                        for g in range(len(crowd)):
                            # "not <": of equal IoUs, the later object wins, as in pycocotools
                            if aside[g] == last_resort and (crowd[g] or not taken[t, g]) and not ious[d, g] < best:
                                match, best = g, ious[d, g]
                    if match >= 0:
                        taken[t, match] = True
                    if aside[match] if match >= 0 else outside:
                        ignored[a, first + d] |= 1 << t
                    elif match >= 0:
                        right[a, first + d] |= 1 << t
    return right, ignored


@helper
def box_iou(boxes, own, gt_boxes, gt_crowd):
    """IoU of (x, y, width, height) boxes, every rounding as in ``bbIou`` of COCO's maskApi.c.

    Args:
        boxes: (N, 4) detections.
        own: (D,) which of them.
        gt_boxes: (G, 4) objects.
        gt_crowd: (G,) bool; with a crowd it is intersection / area of the detection.

    Returns:
        (D, G) float64 in [0, 1].
    """
    ious = np.zeros((len(own), len(gt_boxes)))
    for d in range(len(own)):
        x, y, w, h = boxes[own[d]]
        for g in range(len(gt_boxes)):
            gt_x, gt_y, gt_w, gt_h = gt_boxes[g]
            width = min(w + x, gt_w + gt_x) - max(x, gt_x)
            height = min(h + y, gt_h + gt_y) - max(y, gt_y)
            if width > 0 and height > 0:
                intersection = width * height
                ious[d, g] = intersection / (w * h if gt_crowd[g] else w * h + gt_w * gt_h - intersection)
    return ious


@kernel
def accumulate(right, ignored, by_score, scores, rank, bounds, objects, thresholds, recall_thresholds, max_detections):
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
    A, T = len(right), thresholds
    K, R, M = len(bounds) - 1, len(recall_thresholds), len(max_detections)
    precision, recall, reached = (
        np.full((T, R, K, A, M), -1.0),
        np.full((T, K, A, M), -1.0),
        np.full((T, R, K, A, M), -1.0),
    )
    for k in range(K):
        for a in range(A):
            count = objects[k, a]
            if not count:
                continue
            curve, score = np.empty((2, T, M, count))  # precision after the (j + 1)-th true positive, and its score
            first = np.zeros(M)  # the best score; it is where pycocotools has the recall 0
            seen, left_out, found = np.zeros(M, np.int64), np.zeros((T, M), np.int64), np.zeros((T, M), np.int64)
            for place in range(bounds[k], bounds[k + 1]):
                d = by_score[place]
                hits, aside = right[a, d], ignored[a, d]
                for m in range(M - 1, -1, -1):
                    if rank[d] >= max_detections[m]:
                        break
                    if not seen[m]:
                        first[m] = scores[place]
                    seen[m] += 1
                    if hits or aside:
                        for t in range(T):
                            left_out[t, m] += (aside >> t) & 1
                            if (hits >> t) & 1:
                                found[t, m] += 1
                                counted = seen[m] - left_out[t, m]  # right or wrong
                                curve[t, m, found[t, m] - 1] = found[t, m] / (counted + 2.0**-52)  # pycocotools' 2^-52
                                score[t, m, found[t, m] - 1] = scores[place]
            for t in range(T):
                for m in range(M):
                    envelope = curve[t, m, : found[t, m]]
                    for j in range(len(envelope) - 1, 0, -1):
                        envelope[j - 1] = max(envelope[j - 1], envelope[j])
                    j = 0
                    for r in range(R):
                        while j < len(envelope) and (j + 1) / count < recall_thresholds[r]:
                            j += 1
                        precision[t, r, k, a, m] = envelope[j] if j < len(envelope) else 0.0
                        reached[t, r, k, a, m] = score[t, m, j] if j < len(envelope) else 0.0
                        if recall_thresholds[r] <= 0:
                            reached[t, r, k, a, m] = first[m]
                    recall[t, k, a, m] = len(envelope) / count
    return precision, recall, reached
