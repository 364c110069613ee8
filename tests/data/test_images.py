"""From image files to pixels: damage, limits, orientation, depth, formats."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from minidet import data
from minidet.data import FORMATS, DatasetError, Voc, images, load_image
from minidet.inspection import inspect
from tests.datasets import write_image, write_voc


def test_images_that_cannot_be_decoded_are_errors_that_name_them(tmp_path: Path, monkeypatch) -> None:
    write_voc(tmp_path, "a")
    path = tmp_path / "JPEGImages" / "a.jpg"
    dataset = Voc(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"a\.jpg cannot be decoded \(.*truncated") as error:
        dataset[0]
    assert pickle.loads(pickle.dumps(error.value)).fault == error.value.fault  # from a worker process
    for content in (b"", b"no image", whole[:20]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.jpg cannot be decoded"):
            load_image(path)
    path.write_bytes(whole)
    for limit in (1000, 400):  # 1200 pixels: Pillow warns from the limit, raises from twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match=rf"a\.jpg has more than PIL.Image.MAX_IMAGE_PIXELS = {limit}"):
            dataset[0]
    path.unlink()
    with pytest.raises(ValueError, match=r"a\.jpg does not exist"):
        load_image(path)
    with pytest.raises(ValueError, match="cannot be decoded"):
        load_image(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "tif"])
def test_damaged_files_are_value_errors(tmp_path: Path, suffix: str) -> None:
    path = write_image(tmp_path / f"a.{suffix}")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(whole[: rng.integers(1, len(whole))])
        for place in rng.integers(0, min(len(damaged), 200), 4):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError, UserWarning):  # the latter: Pillow's, an error under this pytest only
            assert load_image(path).dtype == np.uint8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode in ("CMYK", "YCbCr") else "png"
    grey = np.full((5, 7), 255, dtype=np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    image.save(tmp_path / f"a.{suffix}")
    pixels = load_image(tmp_path / f"a.{suffix}")
    assert (pixels.shape, pixels.dtype) == ((5, 7, 3), np.uint8)
    assert pixels.min() == 255


def test_floating_point_pixels_have_no_range(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif .*floating point"):
        load_image(tmp_path / "a.tif")


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[274] = orientation
    return block


def save(path: Path, pixels: np.ndarray, orientation: int) -> Path:
    """Without loss, and with an orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    how = {".tif": {"tiffinfo": {274: orientation}}, ".webp": {"exif": exif(orientation), "lossless": True}}
    Image.fromarray(pixels).save(path, **how.get(path.suffix, {"exif": exif(orientation)}))
    return path


PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_read_as_a_viewer_shows_them(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", PIXELS, orientation)
    with Image.open(path) as image:
        shown = np.array(ImageOps.exif_transpose(image))
    picture = images.read_picture(path)
    np.testing.assert_array_equal(picture.pixels, shown)
    assert (picture.orientation, picture.bits) == (orientation, 8)
    assert images.image_size(path) == shown.shape[:2]
    np.testing.assert_array_equal(load_image(path, oriented=False), PIXELS)  # the other convention
    assert images.image_size(path, oriented=False) == (5, 8)


def test_turning_by_hand() -> None:
    """EXIF says where row 0 and column 0 of what is stored belong: 6, for one, to the right side and the top."""
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    expected = {
        1: [[0, 1, 2], [3, 4, 5]], 2: [[2, 1, 0], [5, 4, 3]], 3: [[5, 4, 3], [2, 1, 0]], 4: [[3, 4, 5], [0, 1, 2]],
        5: [[0, 3], [1, 4], [2, 5]], 6: [[3, 0], [4, 1], [5, 2]],
        7: [[5, 2], [4, 1], [3, 0]], 8: [[2, 5], [1, 4], [0, 3]],
    }  # fmt: skip
    for orientation, shown in expected.items():
        assert images.turned(stored, orientation)[:, :, 0].tolist() == shown, orientation


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_orientations_that_there_are_not_mean_nothing(tmp_path: Path, orientation: int) -> None:
    path = save(tmp_path / "a.png", PIXELS, orientation)
    np.testing.assert_array_equal(load_image(path), PIXELS)


def test_a_phones_picture_and_its_box(tmp_path: Path) -> None:
    """Stored lying, annotated upright: the box lies on the same pixels."""
    upright = np.zeros((8, 5, 3), np.uint8)
    upright[1:3, 2:4] = 255
    save(tmp_path / "JPEGImages" / "a.png", images.turned(upright, 8), 6)
    write_voc(tmp_path, "a", ("cat", (3, 2, 4, 3)), size=(8, 5), image=False)
    sample = Voc(tmp_path, strict=True)[0]
    x1, y1, x2, y2 = sample.boxes[0].astype(int)
    assert (sample.image[y1:y2, x1:x2] == 255).all()
    assert sample.image.sum() == sample.image[y1:y2, x1:x2].sum()


@pytest.mark.parametrize(
    ("size", "oriented", "advice"), [((5, 8), True, "oriented=False"), ((8, 5), False, "oriented=True")]
)
def test_the_other_convention_is_named_where_it_shows(tmp_path: Path, size, oriented: bool, advice: str) -> None:
    save(tmp_path / "JPEGImages" / "a.png", PIXELS, 6)
    write_voc(tmp_path, "a", ("cat", (3, 2, 4, 3)), size=size, image=False)
    with pytest.raises(DatasetError, match=rf"viewers turn this image \(EXIF orientation 6\).*{advice}") as error:
        Voc(tmp_path, oriented=oriented)[0]
    assert error.value.fault.kind == data.WRONG_SIZE
    assert Voc(tmp_path, oriented=not oriented)[0].image.shape[:2] == size


def test_inspecting_tells_how_many_images_are_turned(tmp_path: Path) -> None:
    for name, orientation in (("a", 3), ("b", 1), ("c", 8)):
        shown = (5, 8) if orientation != 8 else (8, 5)
        save(tmp_path / "JPEGImages" / f"{name}.png", PIXELS, orientation)
        write_voc(tmp_path, name, ("cat", (1, 1, 4, 4)), size=shown, image=False)
    report = inspect(Voc(tmp_path), resize=None, progress=False)
    (note,) = report.notes
    assert note.startswith(
        "2 images of 3 are turned or mirrored by EXIF: pixels and boxes are taken as viewers show them"
    )
    assert "2 images of 3" in report.table()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_deep_grey_images_are_as_bright_as_their_depth(tmp_path: Path, bits: int, suffix: str) -> None:
    white = 2**bits - 1
    grey = np.array([[0, white // 2, white]], np.uint16)
    Image.fromarray(grey).save(tmp_path / f"a.{suffix}")
    picture = images.read_picture(tmp_path / f"a.{suffix}")
    assert picture.pixels[0, :, 0].tolist() == [0, 127, 255]
    assert picture.bits == bits


def test_whole_numbers_of_32_bits(tmp_path: Path) -> None:
    Image.fromarray(np.array([[-5, 0, 200, 255]], np.int32)).save(tmp_path / "a.tif")
    assert load_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 0, 200, 255]
    Image.fromarray(np.array([[0, 2**19, 2**20 - 1]], np.int32)).save(tmp_path / "a.tif")
    assert load_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 128, 255]


def test_inspecting_tells_depths_that_differ(tmp_path: Path) -> None:
    for name, white in (("a", 4095), ("b", 65535), ("c", 4000)):
        (tmp_path / "JPEGImages").mkdir(exist_ok=True)
        Image.fromarray(np.full((30, 40), white, np.uint16)).save(tmp_path / "JPEGImages" / f"{name}.png")
        write_voc(tmp_path, name, ("cat", (1, 1, 4, 4)), image=False)
    (note,) = inspect(Voc(tmp_path), resize=None, progress=False).notes
    assert note.startswith("3 images of 3 hold grey values of 12 or 16 bits")
    assert "not the same in all images" in note


@pytest.mark.parametrize(("suffix", "name"), [("jp2", "JPEG2000"), ("avif", "AVIF")])
def test_formats_that_pillow_may_know(tmp_path: Path, suffix: str, name: str) -> None:
    if name not in FORMATS:
        pytest.skip(f"this Pillow has no {name}")
    write_voc(tmp_path, "a", ("cat", (1, 1, 4, 4)), image=False)
    write_image(tmp_path / "JPEGImages" / f"a.{suffix}")
    dataset = Voc(tmp_path, strict=True)
    assert (dataset.record(0).file_name, dataset[0].image.shape) == (f"a.{suffix}", (30, 40, 3))


@pytest.mark.parametrize("suffix", ["JPG", "Jpeg", "PNG", "jfif", "TIF"])
def test_endings_in_any_case(tmp_path: Path, suffix: str) -> None:
    write_voc(tmp_path, "a", ("cat", (1, 1, 4, 4)), image=False)
    write_image(tmp_path / "JPEGImages" / f"a.{suffix}")
    assert Voc(tmp_path, strict=True)[0].image.shape == (30, 40, 3)


def test_the_largest_number_of_pixels_can_be_raised_from_outside(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (20_000, 10_000)).save(path)  # 2e8 pixels, above Pillow's own limit
    with pytest.raises(ValueError, match=rf"a\.png has more than .* set {images.LIMIT} to a larger number"):
        images.image_size(path)
    code = f"from minidet.data import images; print(images.image_size({str(path)!r}))"
    environment = {**os.environ, images.LIMIT: "400000000"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment,
        cwd=Path(data.__file__).parents[2],
    )  # fmt: skip
    assert result.stdout.strip() == "(10000, 20000)"
