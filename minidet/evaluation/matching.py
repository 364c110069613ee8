"""COCO's matching and its curves: the part of the evaluation that has to be fast, compiled."""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import helper, kernel

FALSE_POSITIVE, TRUE_POSITIVE, IGNORED = 0, 1, 2


@kernel
def match(boxes, areas, gt_boxes, gt_areas, gt_crowd, bounds, iou_thresholds, area_ranges):
    """Who takes which object: the outcome of every detection for every area range and IoU threshold.

    Args:
        boxes: (D, 4) detections (x, y, width, height), by class, then image, then score, the best first.
        areas: (D,) pixels².
        gt_boxes: (G, 4) objects, by class, then image.
        gt_areas: (G,) pixels².
        gt_crowd: (G,) bool.
        bounds: (groups, 4) for each class in each image, its detections first:last and its objects first:last.
        iou_thresholds: (T,).
        area_ranges: (A, 2) pixels².

    Returns:
        (A, T, D) uint8, FALSE_POSITIVE, TRUE_POSITIVE or IGNORED.
    """
    outcome = np.zeros((len(area_ranges), len(iou_thresholds), len(boxes)), np.uint8)
    for i in range(len(bounds)):
        first, last, gt_first, gt_last = bounds[i]
        crowd = gt_crowd[gt_first:gt_last]
        ious = box_iou(boxes[first:last], gt_boxes[gt_first:gt_last], crowd)
        ignored, taken = np.empty_like(crowd), np.empty_like(crowd)
        for a in range(len(area_ranges)):
            low, high = area_ranges[a]
            for g in range(len(crowd)):
                ignored[g] = crowd[g] or gt_areas[gt_first + g] < low or gt_areas[gt_first + g] > high
            for t in range(len(iou_thresholds)):
                taken[:] = False
                for d in range(len(ious)):
                    match, best = -1, iou_thresholds[t]
                    for last_resort in (False, True):  # an ignored object is matched only where no other one is
                        if match >= 0:
                            break
                        for g in range(len(crowd)):
                            # "not <": of equal IoUs, the later object wins, as in pycocotools
                            if ignored[g] == last_resort and (crowd[g] or not taken[g]) and not ious[d, g] < best:
                                match, best = g, ious[d, g]
                    if match >= 0:
                        taken[match] = True
                        outcome[a, t, first + d] = IGNORED if ignored[match] else TRUE_POSITIVE
                    elif areas[first + d] < low or areas[first + d] > high:
                        outcome[a, t, first + d] = IGNORED
    return outcome


@helper
def box_iou(boxes, gt_boxes, gt_crowd):
    """IoU of (x, y, width, height) boxes, every rounding as in ``bbIou`` of COCO's maskApi.c.

    Args:
        boxes: (D, 4) detections.
        gt_boxes: (G, 4) objects.
        gt_crowd: (G,) bool; with a crowd it is intersection / area of the detection.

    Returns:
        (D, G) float64 in [0, 1].
    """
    ious = np.zeros((len(boxes), len(gt_boxes)))
    for d in range(len(boxes)):
        x, y, w, h = boxes[d]
        for g in range(len(gt_boxes)):
            gt_x, gt_y, gt_w, gt_h = gt_boxes[g]
            width = min(w + x, gt_w + gt_x) - max(x, gt_x)
            height = min(h + y, gt_h + gt_y) - max(y, gt_y)
            if width > 0 and height > 0:
                intersection = width * height
                ious[d, g] = intersection / (w * h if gt_crowd[g] else w * h + gt_w * gt_h - intersection)
    return ious


@kernel
def accumulate(outcome, by_score, rank, bounds, objects, recall_thresholds, max_detections):
    """The curves of all classes from what became of their detections.

    A curve is kept at true positives only: elsewhere recall stands still and precision falls or stays.

    Args:
        outcome: (A, T, D) of `match`.
        by_score: (D,) indices of detections, by class, then score, the best first.
        rank: (D,) place of a detection among those of its class in its image, from 0.
        bounds: (K + 1,) class k has the detections ``by_score[bounds[k]:bounds[k + 1]]``.
        objects: (K, A) how many objects count.
        recall_thresholds: (R,) ascending.
        max_detections: (M,) limits per image and class.

    Returns:
        Precision (T, R, K, A, M), the envelope, and recall (T, K, A, M) at the end of the list; -1 without objects.
    """
    A, T, _ = outcome.shape
    K, R, M = len(bounds) - 1, len(recall_thresholds), len(max_detections)
    precision, recall = np.full((T, R, K, A, M), -1.0), np.full((T, K, A, M), -1.0)
    for k in range(K):
        curve = np.empty(bounds[k + 1] - bounds[k])  # precision after the (j + 1)-th true positive
        for a in range(A):
            count = objects[k, a]
            for t in range(T if count else 0):
                for m in range(M):
                    right = wrong = 0
                    for d in by_score[bounds[k] : bounds[k + 1]]:
                        if rank[d] < max_detections[m]:
                            if outcome[a, t, d] == TRUE_POSITIVE:
                                right += 1
                                curve[right - 1] = right / (right + wrong + 2.0**-52)  # the 2^-52 is pycocotools'
                            elif outcome[a, t, d] == FALSE_POSITIVE:
                                wrong += 1
                    for j in range(right - 1, 0, -1):
                        curve[j - 1] = max(curve[j - 1], curve[j])
                    j = 0
                    for r in range(R):
                        while j < right and (j + 1) / count < recall_thresholds[r]:
                            j += 1
                        precision[t, r, k, a, m] = curve[j] if j < right else 0.0
                    recall[t, k, a, m] = right / count
    return precision, recall
