"""Damaged files: whatever a decoder says of them, the error names the file."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from minidet.data import FORMATS, load_image
from minidet.data.images import image_size


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of tags that are cut off
@pytest.mark.parametrize("kind", [name for name in FORMATS if name != "PPM"])
def test_every_damage_is_told_with_the_file(kind, tmp_path):
    """One byte after another is turned over; PPM holds little but pixels."""
    path = tmp_path / f"a.{kind.lower()}"
    pixels = np.random.default_rng(0).integers(0, 256, (18, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, kind)
    whole = path.read_bytes()
    refused = []
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        for read in (image_size, load_image):
            try:
                read(path)
            except ValueError as error:
                refused.append(str(error))
    assert refused
    assert all(str(path) in told for told in refused)
