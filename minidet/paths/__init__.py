"""What is the same whichever path computes: a network by the name of its path, what it detects, and how it is trained.

Names of paths are those of `minidet.config.PATHS`. A path is imported when it is asked for: the reference and the
compiled path do without PyTorch.
"""

from minidet.paths.networks import detect_images, load_network, new_network, of_path

__all__ = ["detect_images", "load_network", "new_network", "of_path"]
