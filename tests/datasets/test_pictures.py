"""Single pictures become images of a data set: what is converted is said, and what is no picture is refused."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from stored import flipped

from stepladder.datasets import data
from stepladder.datasets.reading.pictures import read_picture
from stepladder.errors import DataError

Pixels = NDArray[np.uint8]
DEEP = "16 bits a pixel were converted to 8"
PRINT = "CMYK, the colours of print, were converted to RGB"
COLOUR_TO_GREY, WHITE = "converted from colour to grey", "what is transparent was made white"


@pytest.fixture(scope="module")
def digit() -> Pixels:
    """A seven (28, 28)."""
    pixels: Pixels = data.load("mnist").test.images[0, 0]
    return pixels


def saved(picture: Image.Image, path: Path, **how: object) -> Path:
    picture.save(path, **how)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "tiff", "webp", "pgm"])
def test_a_grey_picture_is_its_pixels(digit: Pixels, tmp_path: Path, ending: str) -> None:
    how = {"lossless": True} if ending == "webp" else {}
    path = saved(Image.fromarray(digit), tmp_path / f"seven.{ending}", **how)
    found = read_picture(path, channels=1, size=28)
    assert found.pixels.shape == (1, 28, 28)
    assert found.pixels.dtype == np.uint8
    assert np.array_equal(found.pixels[0], digit)
    assert set(found.notes) <= ({COLOUR_TO_GREY} if ending in ("webp", "gif") else set())  # they have no grey


def test_a_jpeg_is_nearly_its_pixels(digit: Pixels, tmp_path: Path) -> None:
    found = read_picture(saved(Image.fromarray(digit), tmp_path / "seven.jpg", quality=95), channels=1, size=28)
    assert np.abs(found.pixels[0].astype(int) - digit).max() < 16
    assert found.notes == ()


def test_colours_are_kept_where_the_network_takes_them(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 9, 3), np.uint8)
    path = saved(Image.fromarray(pixels), tmp_path / "colours.png")
    found = read_picture(path, channels=3, size=9)
    assert np.array_equal(found.pixels, pixels.transpose(2, 0, 1))
    assert found.notes == ()
    inverted = read_picture(path, channels=3, size=9, invert=True)
    assert np.array_equal(inverted.pixels, 255 - found.pixels)
    with_alpha = read_picture(path, channels=4, size=9, invert=True)
    assert np.array_equal(with_alpha.pixels[:3], inverted.pixels)
    assert (with_alpha.pixels[3] == 255).all()
    with pytest.raises(DataError, match="takes images of 5 channels, and pictures have 1, 2, 3, 4"):
        read_picture(path, channels=5, size=9)


CONVERTED: dict[str, tuple[Callable[[Pixels], Image.Image], str, int, tuple[str, ...]]] = {
    "colour to grey": (lambda d: Image.fromarray(d).convert("RGB"), "png", 1, (COLOUR_TO_GREY,)),
    "a palette to grey": (lambda d: Image.fromarray(d).convert("RGB").quantize(256), "png", 1, ()),  # of greys alone
    "grey to colour": (Image.fromarray, "png", 3, ("converted from grey to colour",)),
    "grey, opaque": (lambda d: Image.fromarray(d).convert("LA"), "png", 1, ()),
    "colour, opaque": (lambda d: Image.fromarray(d).convert("RGBA"), "png", 3, ()),
    "16 bits": (
        lambda d: Image.fromarray(d.astype(np.uint16) * 257),
        "png",
        1,
        (DEEP,),
    ),
    "32 bits": (
        lambda d: Image.fromarray(d.astype(np.int32) * 257),
        "tiff",
        1,
        (DEEP,),
    ),
    "inks": (lambda d: Image.fromarray(d).convert("RGB").convert("CMYK"), "tiff", 3, (PRINT,)),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_is_converted_is_said(digit: Pixels, tmp_path: Path, name: str) -> None:
    make, ending, channels, notes = CONVERTED[name]
    found = read_picture(saved(make(digit), tmp_path / f"seven.{ending}"), channels=channels, size=28)
    assert found.notes == notes
    assert np.array_equal(found.pixels, np.repeat(digit[None], channels, 0))


def test_black_and_white_is_grey(digit: Pixels, tmp_path: Path) -> None:
    path = saved(Image.fromarray(digit > 127), tmp_path / "seven.png")
    assert np.array_equal(read_picture(path, channels=1, size=28).pixels[0], (digit > 127) * 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(digit: Pixels, tmp_path: Path, mode: str) -> None:
    """Black ink on nothing: inverted, it is a digit of MNIST."""
    ink = Image.fromarray(np.stack([np.zeros_like(digit)] * 3 + [digit], -1))
    if mode == "P":
        ink = Image.fromarray(np.where(digit > 127, 0, 1).astype(np.uint8)).convert("P")
        path = saved(ink, tmp_path / "seven.png", transparency=1)
        digit = ((digit > 127) * 255).astype(np.uint8)
    else:
        path = saved(ink if mode == "RGBA" else ink.convert("LA"), tmp_path / "seven.png")
    found = read_picture(path, channels=1, size=28, invert=True)
    assert WHITE in found.notes
    assert np.abs(found.pixels[0].astype(int) - digit).max() <= 1


def test_a_photo_is_turned_upright(digit: Pixels, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    path = saved(Image.fromarray(np.rot90(digit)), tmp_path / "photo.png", exif=exif)
    found = read_picture(path, channels=1, size=28)
    assert np.array_equal(found.pixels[0], digit)
    assert found.notes == ("turned upright, as its EXIF data say",)


def test_of_several_frames_the_first_is_taken(digit: Pixels, tmp_path: Path) -> None:
    first, second = Image.fromarray(digit), Image.fromarray(255 - digit)
    path = saved(first, tmp_path / "film.tiff", save_all=True, append_images=[second])
    found = read_picture(path, channels=1, size=28)
    assert np.array_equal(found.pixels[0], digit)
    assert found.notes == ("the first of several frames was taken",)


@pytest.mark.parametrize(
    ("shape", "note"),
    [((56, 56), "resized to 28 x 28 pixels"), ((40, 70), "squeezed into a square of 28 x 28 pixels")],
)
def test_a_picture_is_resized_only_if_asked(digit: Pixels, tmp_path: Path, shape: tuple[int, int], note: str) -> None:
    path = saved(Image.fromarray(digit).resize(shape), tmp_path / "large.png")
    with pytest.raises(
        DataError, match=rf"large.png: {shape[0]} x {shape[1]} pixels, and this network takes 28 x 28: crop"
    ):
        read_picture(path, channels=1, size=28)
    found = read_picture(path, channels=1, size=28, resize=True)
    assert found.notes == (note,)
    assert np.corrcoef(found.pixels.ravel(), digit.ravel())[0, 1] > 0.9


def test_whether_light_and_dark_are_the_other_way_around(digit: Pixels, tmp_path: Path) -> None:
    path = saved(Image.fromarray(digit), tmp_path / "seven.png")
    mean, middle = np.array([0.13]), np.array([0.45])
    assert not read_picture(path, channels=1, size=28).may_be_inverted(mean)
    assert read_picture(path, channels=1, size=28, invert=True).may_be_inverted(mean)
    assert not read_picture(path, channels=1, size=28, invert=True).may_be_inverted(middle)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels, and has none."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file, which is no picture that can be read: give a picture (PNG, JPEG"),
        (b"hello\n", "text, which is no picture"),
        (b"<html></html>", "a web page, which is no picture"),
        (b"\x89PNG\r\n\x1a\n", "PNG picture"),
        (b"\x93NUMPY\1\0", "a single array of numpy (.npy), which is no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n", "no picture that can be read"),
        (bytes(range(256)), "no picture that can be read"),
        (png_of_size(28, 28), "a damaged picture, or none"),
        (png_of_size(8_000, 8_000), "8,000 x 8,000 pixels: shrink it first"),
        (png_of_size(100_000, 100_000), "x.png: "),
        (png_of_size(2**31 - 1, 2**31 - 1), "x.png: "),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError) as refusal:
        read_picture(tmp_path / "x.png", channels=1, size=28, resize=True)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "tiff", "webp", "pgm"])
def test_damaged_pictures_are_refused_or_read(digit: Pixels, tmp_path: Path, ending: str) -> None:
    """Some formats have no checksum. Whatever the decoder does, it ends in a picture or in a message."""
    whole = saved(Image.fromarray(digit), tmp_path / f"seven.{ending}").read_bytes()
    rng, path, n_refused = Random(5), tmp_path / f"broken.{ending}", 0
    cuts = [whole[: rng.randrange(len(whole))] for _ in range(30)]
    for content in (*flipped(whole, 150, rng), *flipped(whole[:40], 60, rng), *cuts):
        path.write_bytes(content)
        try:
            assert read_picture(path, channels=1, size=28, resize=True).pixels.shape == (1, 28, 28)
        except DataError:
            n_refused += 1
    assert n_refused > 20


def test_folders_and_pipes_are_no_pictures(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for name, words in ((".", "it is a folder"), ("pipe", "not an ordinary file"), ("gone", "No such file")):
        with pytest.raises(DataError, match=f"cannot be read: {words}|cannot be read: it is {words}"):
            read_picture(tmp_path / name, channels=1, size=28)


def test_fractions_are_no_pixels(digit: Pixels, tmp_path: Path) -> None:
    path = saved(Image.fromarray(digit.astype(np.float32)), tmp_path / "x.tiff")
    with pytest.raises(DataError, match="its pixels are fractions"):
        read_picture(path, channels=1, size=28)
    path = saved(Image.fromarray(digit.astype(np.int32) * 2**20), tmp_path / "y.tiff")
    with pytest.raises(DataError, match="its pixels are not from 0 to 65,535"):
        read_picture(path, channels=1, size=28)


def test_what_32_bits_mean_is_not_guessed(digit: Pixels, tmp_path: Path) -> None:
    """A picture of bytes that is stored in more of them would be black."""
    path = saved(Image.fromarray(digit.astype(np.int32)), tmp_path / "x.tiff")
    with pytest.raises(DataError, match="none is above 255, so that nobody knows what white is: save it with 8 bits"):
        read_picture(path, channels=1, size=28)
    path = saved(Image.fromarray(-digit.astype(np.int32)), tmp_path / "y.tiff")
    with pytest.raises(DataError, match="its pixels are not from 0 to 65,535"):
        read_picture(path, channels=1, size=28)


def test_colours_of_print_are_told_what_to_do(digit: Pixels, tmp_path: Path) -> None:
    path = saved(Image.fromarray(np.repeat(digit[:, :, None], 3, 2), "LAB"), tmp_path / "x.tiff")
    for channels in (1, 3, 4):
        with pytest.raises(DataError, match=r"x\.tiff: its colours are kept as LAB: save it in grey or RGB"):
            read_picture(path, channels=channels, size=28)


def test_an_orientation_that_there_is_not_turns_nothing(digit: Pixels, tmp_path: Path) -> None:
    picture = Image.fromarray(digit)
    exif = picture.getexif()
    exif[0x0112] = 99
    path = saved(picture, tmp_path / "x.png", exif=exif)
    found = read_picture(path, channels=1, size=28)
    assert found.notes == ()
    assert np.array_equal(found.pixels[0], digit)


def test_a_picture_that_would_fill_the_memory_is_to_be_shrunk(tmp_path: Path) -> None:
    """Also one of which Pillow itself takes fright."""
    for side in (8_000, 50_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        chunks = (b"IHDR" + header, b"IDAT" + zlib.compress(b""), b"IEND")
        parts = (struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in chunks)
        (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
        with pytest.raises(DataError, match="pixels: shrink it first"):
            read_picture(tmp_path / "x.png", channels=1, size=28)
