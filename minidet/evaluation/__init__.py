"""COCO's evaluation: the metrics of detections, and the score of a detector on a data set."""

from minidet.evaluation.coco import Evaluation, coco_metrics, evaluate, evaluate_parts

__all__ = ["Evaluation", "coco_metrics", "evaluate", "evaluate_parts"]
