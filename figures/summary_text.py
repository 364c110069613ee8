"""What the summary page says of the setting and of the runs, from the configurations and the runs themselves."""

from __future__ import annotations

from minidet.config import RetinaNetConfig
from minidet.experiments.repeat import repeated
from minidet.experiments.results import Results
from minidet.experiments.setting import BASE, anchors_per_image


def setting() -> str:
    """The small setting in words, from its configuration."""
    model, training, data = BASE.model, BASE.training, BASE.data
    height, width = data["image_size"]
    start = "starting from random weights"
    if BASE.backbone:
        start = (
            "starting from the backbone of a detector that learnt crowded shapes, where the paper starts from ImageNet"
        )
    (low, high), (few, many) = data["objects"], data["distractors"]
    objects = "one object" if (low, high) == (1, 1) else f"{low} to {high} objects"
    return (
        f"The setting, where a row does not change it: images of {width} × {height} pixels with {objects} "
        f"of {model.num_classes} classes and {few} to {many} distractors, shapes that are none of them; a "
        f"ResNet-{model.depth} of {model.width} channels with a pyramid of {len(model.anchors.levels)} levels, "
        f"{anchors_per_image():,} anchors per image; {training.iterations:,} steps of "
        f"{training.batch_size} images, {training.optimizer.upper()}, learning rate {training.learning_rate:g}, "
        f"{start}; AP on {BASE.val['images']} unseen images at the end."
    )


def differences() -> str:
    """What besides the size differs from the paper's recipe, from the configurations."""
    model, training, paper = BASE.model, BASE.training, RetinaNetConfig()
    few, many = BASE.data["images"], training.iterations * training.batch_size
    return (
        f"What else differs from the paper, and may favour one loss over another: the subnets have {model.head_norm} "
        f"normalisation (the paper's have {paper.head_norm or 'none'}) and {model.head_convs} convolutions of "
        f"{model.head_channels} channels ({paper.head_convs} of {paper.head_channels}); smooth L1 turns linear at "
        f"{training.loss.smooth_l1_beta:g} (1); the first {training.freeze_at} parts of the backbone stay as they are; "
        f"the learning rate warms up over {training.warmup} steps; {few:,} images are seen "
        f"{many / few:.1f} times each, after which AP still rises; detections with a score below "
        f"{model.postprocess.score_threshold:g} are dropped, which costs losses with low scores more. The backbone was "
        f"trained by a detector with the focal loss, and is the same for all seeds, so that the spread over the seeds "
        "does not include it. The other rows change what their names say and nothing else, but for three: AdamW has a "
        "learning rate of 0.001 and clips gradients; the images of the background rows have 2 to 4 distractors; and on "
        "photographs nothing is frozen, the normalisation learns, and there are half as many steps. Among 30 to 40 "
        "distractors 7 % of the images have no room for their object."
    )


def twice(results: Results) -> str:
    """How many runs were repeated, and how many of them exactly; empty where none was."""
    same = repeated(results).values()
    if not same:
        return ""
    return (
        f" {len(same)} were run a second time, by that command and on another day: {sum(same)} identical, in every "
        f"metric and the whole loss curve, {len(same) - sum(same)} not."
    )


def effort(results: Results) -> str:
    """How many runs, seeds and hours are behind the page, and on what."""
    used = results.used
    if not used:
        return "No experiment has been run yet: minidet experiments run."
    seeds = len({run["seed"] for run in used})
    configurations = sum(1 for runs in results.by_identity.values() if any(run in used for run in runs.values()))
    hours = sum(run["cpu_seconds"] for run in used) / 3600
    devices = ", ".join(sorted({f"{run['device']} in {run['precision']}" for run in used}))
    hashes = sorted({(run["commit"] or "unknown")[:7] for run in used})
    commits = f"{'commit' if len(hashes) == 1 else 'commits'} {', '.join(hashes)}"
    return (
        f"Behind it are {len(used)} runs of {configurations} configurations, up to {seeds} seeds per configuration: "
        f"{hours:.1f} hours of processor time on {devices}, at {commits}. Every run is a JSON file "
        f"in minidet/experiments/runs; it holds the command that runs it again.{twice(results)}"
    )
