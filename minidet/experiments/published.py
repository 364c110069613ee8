"""What the paper publishes: the numbers of its text and tables, each once, for the figures to stand beside."""

from __future__ import annotations

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
"""The focusing parameters of Figure 1."""

FIGURE5_STARS = ((2.0, 1.0), (4.0, 0.0))
"""(gamma, beta) of FL* in Figures 5 and 6, those of Table 3."""

FIGURE5_GAMMA = 2.0
"""gamma of FL beside them."""

LOWER_THAN_CROSS_ENTROPY = ((0.9, 100.0), (0.968, 1000.0))
"""Section 3.2, at gamma = 2: (p_t, how many times lower the focal loss is than the cross entropy)."""

AT_MOST_LOWER_UP_TO_HALF = 4.0
"""Section 3.2, at gamma = 2: for p_t <= .5 the loss is scaled down by at most this."""

AP = tuple[float, float, float]
"""AP, AP50 and AP75 in percent, as the tables give them."""

TABLE_1A: dict[float, AP] = {
    0.10: (0.0, 0.0, 0.0),
    0.25: (10.8, 16.0, 11.7),
    0.50: (30.2, 46.7, 32.8),
    0.75: (31.1, 49.4, 33.0),
    0.90: (30.8, 49.7, 32.3),
    0.99: (28.7, 47.4, 29.9),
    0.999: (25.1, 41.7, 26.1),
}
"""alpha of the balanced cross entropy; ResNet-50, minival, as 1b and 1c."""

TABLE_1B: dict[tuple[float, float], AP] = {
    (0.0, 0.75): (31.1, 49.4, 33.0),
    (0.1, 0.75): (31.4, 49.9, 33.1),
    (0.2, 0.75): (31.9, 50.7, 33.4),
    (0.5, 0.50): (32.9, 51.7, 35.2),
    (1.0, 0.25): (33.7, 52.0, 36.2),
    (2.0, 0.25): (34.0, 52.5, 36.5),
    (5.0, 0.25): (32.2, 49.6, 34.8),
}
"""(gamma, the alpha that is best with it) of the focal loss."""

TABLE_1C: dict[tuple[int, int], AP] = {
    (1, 1): (30.3, 49.0, 31.8),
    (2, 1): (31.9, 50.0, 34.0),
    (3, 1): (31.8, 49.4, 33.7),
    (1, 3): (32.4, 52.3, 33.9),
    (2, 3): (34.2, 53.1, 36.5),
    (3, 3): (34.0, 52.5, 36.5),
    (4, 3): (33.8, 52.1, 36.2),
}
"""(scales, aspect ratios) of the anchors of a cell."""

TABLE_1D: dict[tuple[str, int, float], AP] = {
    ("ohem", 128, 0.7): (31.1, 47.2, 33.2),
    ("ohem", 256, 0.7): (31.8, 48.8, 33.9),
    ("ohem", 512, 0.7): (30.6, 47.0, 32.6),
    ("ohem", 128, 0.5): (32.8, 50.3, 35.1),
    ("ohem", 256, 0.5): (31.0, 47.4, 33.0),
    ("ohem", 512, 0.5): (27.6, 42.0, 29.2),
    ("ohem_1_3", 128, 0.5): (31.1, 47.2, 33.2),
    ("ohem_1_3", 256, 0.5): (28.3, 42.4, 30.3),
    ("ohem_1_3", 512, 0.5): (24.0, 35.5, 25.8),
}
"""(loss, batch size, NMS threshold) of online hard example mining; ResNet-101, minival."""

TABLE_1D_FOCAL: AP = (36.0, 54.9, 38.7)
"""The focal loss beside them."""

TABLE_1E: dict[tuple[int, int], tuple[float, float, float, float, float, float, float]] = {
    (50, 400): (30.5, 47.8, 32.7, 11.2, 33.8, 46.1, 64),
    (50, 500): (32.5, 50.9, 34.8, 13.9, 35.8, 46.7, 72),
    (50, 600): (34.3, 53.2, 36.9, 16.2, 37.4, 47.4, 98),
    (50, 700): (35.1, 54.2, 37.7, 18.0, 39.3, 46.4, 121),
    (50, 800): (35.7, 55.0, 38.5, 18.9, 38.9, 46.3, 153),
    (101, 400): (31.9, 49.5, 34.1, 11.6, 35.8, 48.5, 81),
    (101, 500): (34.4, 53.1, 36.8, 14.7, 38.5, 49.1, 90),
    (101, 600): (36.0, 55.2, 38.7, 17.4, 39.6, 49.7, 122),
    (101, 700): (37.1, 56.6, 39.8, 19.1, 40.6, 49.4, 154),
    (101, 800): (37.8, 57.5, 40.8, 20.2, 41.1, 49.2, 198),
}
"""(depth, shorter side in pixels): AP, AP50, AP75, APs, APm, APl on test-dev, and milliseconds an image on an M40."""

TABLE_2: dict[tuple[str, str], tuple[float, float, float, float, float, float]] = {
    ("Faster R-CNN+++", "ResNet-101-C4"): (34.9, 55.7, 37.4, 15.6, 38.7, 50.9),
    ("Faster R-CNN with FPN", "ResNet-101-FPN"): (36.2, 59.1, 39.0, 18.2, 39.0, 48.2),
    ("Faster R-CNN by G-RMI", "Inception-ResNet-v2"): (34.7, 55.5, 36.7, 13.5, 38.1, 52.0),
    ("Faster R-CNN with TDM", "Inception-ResNet-v2-TDM"): (36.8, 57.7, 39.2, 16.2, 39.8, 52.1),
    ("YOLOv2", "DarkNet-19"): (21.6, 44.0, 19.2, 5.0, 22.4, 35.5),
    ("SSD513", "ResNet-101-SSD"): (31.2, 50.4, 33.3, 10.2, 34.5, 49.8),
    ("DSSD513", "ResNet-101-DSSD"): (33.2, 53.3, 35.2, 13.0, 35.4, 51.1),
    ("RetinaNet", "ResNet-101-FPN"): (39.1, 59.1, 42.3, 21.8, 42.7, 50.2),
    ("RetinaNet", "ResNeXt-101-FPN"): (40.8, 61.1, 44.1, 24.1, 44.2, 51.2),
}
"""(detector, backbone): AP, AP50, AP75, APs, APm, APl on COCO test-dev."""

TABLE_3: dict[tuple[str, float | None, float | None], AP] = {
    ("CE", None, None): (31.1, 49.4, 33.0),
    ("FL", 2.0, None): (34.0, 52.5, 36.5),
    ("FL*", 2.0, 1.0): (33.8, 52.7, 36.3),
    ("FL*", 4.0, 0.0): (33.9, 51.8, 36.4),
}
"""(loss, gamma, beta)."""

CE_WITH_PRIOR = 30.2
"""Section 5.1: AP of cross entropy with pi = .01, where without it training diverges."""

BALANCED_GAIN, FOCAL_GAIN, OHEM_GAP, ALPHA_HALF_LOSS = 0.9, 2.9, 3.2, 0.4
"""Section 5.1, points of AP: alpha = .75 over .5; FL over the best balanced CE; FL over the best OHEM; what alpha = .5
costs at gamma = 2."""

EFFECTIVE_BELOW_FOCAL = 34.0 - 33.5
"""Figure 7: a setting of FL* is effective if it converged with an AP over 33.5, where FL has 34.0."""

HARDEST_POSITIVES, THEIR_SHARE = 0.2, 0.5
"""Section 5.1: the hardest 20 % of the positives carry about half of their loss."""

FIGURE4_GAMMAS = (0.0, 0.5, 1.0, 2.0)
"""The focusing parameters of Figure 4."""
