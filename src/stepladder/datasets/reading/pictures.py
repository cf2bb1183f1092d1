"""A single picture as an image of a data set: PNG, JPEG, BMP and the like, read through Pillow.

Nothing is done to a picture in silence: what is converted is noted, and pixels are resized only where that is asked.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from stepladder._base.files import read_regular
from stepladder._base.wording import flat
from stepladder.datasets.reading.odd_files import what_is
from stepladder.errors import DataError
from stepladder.networks.sides import Sides, pair

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # others need programs, or are no pictures
MOST_BYTES, MOST_PIXELS = 100_000_000, 50_000_000
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's, by how many channels a network takes
KNOWN_MODES = (
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBX",
    "RGBA",
    "RGBa",
    "CMYK",
    "YCbCr",
    "F",
    "I",
    *(f"I;16{each}" for each in ("", "B", "L", "N")),
)
GREY = ("1", "L", "LA", "La")
DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # of 16 bits a pixel
ORIENTATION, TURNED = 0x0112, range(2, 9)  # of EXIF: 1 is upright, and what else there may be says nothing
ON_ITS_SIDE = range(5, 9)
TO_8_BITS = "16 bits a pixel were converted to 8"
MUCH = 0.2  # of the way from black to white


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture's pixels (C, H, W) uint8, and what was done to them, in words that fit any picture."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]

    def may_be_inverted(self, pixel_mean: NDArray[np.float64]) -> bool:
        """Whether its opposite would be much nearer to the mean (C,), from 0 to 1, of the images trained on."""
        mean, usual = self.pixels.mean() / 255, float(pixel_mean.mean())
        return bool(abs(1 - mean - usual) + MUCH < abs(mean - usual))


def read_picture(path: Path, *, channels: int, size: Sides, resize: bool = False, invert: bool = False) -> Picture:
    """A picture of channels x size pixels. ``invert`` turns light and dark around.

    Raises DataError that names the file for what is no picture, or has another size and is not to be resized.
    """
    if channels not in MODES:
        raise DataError(f"this network takes images of {channels} channels, and pictures have {', '.join(_KNOWN)}")
    try:
        content = read_regular(path, most=MOST_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{flat(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    with quiet():
        picture, notes = _opened(content, flat(path))
    picture, converted = _converted(picture, MODES[channels], flat(path))
    notes += converted
    height, width = pair(size)
    if picture.size != (width, height):
        what, order = ("a square of", "") if width == height else ("an image of", " (width x height)")
        if not resize:
            raise DataError(
                f"{flat(path)}: {picture.width} x {picture.height} pixels, and this network takes {width} x"
                f" {height}{order}: crop it as the images trained on are, and add --resize"
            )
        how = "resized to" if picture.width * height == picture.height * width else f"squeezed into {what}"
        notes.append(f"{how} {width} x {height} pixels{order}")
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.array(picture, np.uint8).reshape(height, width, channels).transpose(2, 0, 1)
    if invert:
        n_colours = channels - (channels in (2, 4))  # the last one is how opaque a pixel is
        pixels = np.concatenate([255 - pixels[:n_colours], pixels[n_colours:]])
    return Picture(np.ascontiguousarray(pixels), tuple(notes))


_KNOWN = [str(each) for each in MODES]


@dataclass(frozen=True)
class Head:
    """What a picture's header tells: (height, width) as it is to be seen, and whether it has colours."""

    size: tuple[int, int]
    is_colour: bool


def look(content: bytes, name: str) -> Head:
    """A picture's header, nothing decoded. Raises DataError that names it for what is no picture, or too large."""
    with _problems_named(content, name):
        picture = _open(content, name)
        size = (picture.height, picture.width)
        is_square = picture.width == picture.height  # asking a PNG for its EXIF data decodes all of it
        turned = not is_square and picture.getexif().get(ORIENTATION, 1) in ON_ITS_SIDE
        return Head(size[::-1] if turned else size, not _is_grey(picture))


def seen(
    content: bytes, name: str, *, mode: str, draft: tuple[int, int] | None = None
) -> tuple[Image.Image, tuple[str, ...]]:
    """A picture as it is meant to be seen, with these channels (Pillow's mode), and what was converted.

    ``draft`` (height, width) is what it will be resized to: a JPEG is then decoded no larger than it needs. Raises
    DataError that names it.
    """
    picture, notes = _opened(content, name, draft=draft)
    picture, converted = _converted(picture, mode, name)
    return picture, (*notes, *converted)


def _is_grey(picture: Image.Image) -> bool:
    """Whether all it can show is grey."""
    if picture.mode != "P":
        return picture.mode in (*GREY, *DEEP, "F")
    colours = np.array(picture.getpalette("RGB") or [0]).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _open(content: bytes, name: str) -> Image.Image:
    """A picture whose pixels are not yet decoded."""
    picture = Image.open(BytesIO(content), formats=FORMATS)
    if picture.width * picture.height > MOST_PIXELS:
        raise DataError(f"{name}: {picture.width:,} x {picture.height:,} pixels: shrink it first")
    return picture


def _opened(content: bytes, name: str, *, draft: tuple[int, int] | None = None) -> tuple[Image.Image, list[str]]:
    """A picture as it is meant to be seen, all of it in memory."""
    notes: list[str] = []
    with _problems_named(content, name):
        picture = _open(content, name)
        if getattr(picture, "n_frames", 1) > 1:
            notes.append("the first of several frames was taken")
        if draft is not None and picture.format == "JPEG":
            picture.draft(None, (2 * max(draft), 2 * max(draft)))
        is_deep = picture.format == "PNG" and content[24:25] == b"\x10" and picture.mode not in DEEP
        if is_deep:  # in colour, or with alpha: Pillow itself makes them 8
            notes.append(TO_8_BITS)
        picture.load()
        if picture.getexif().get(ORIENTATION, 1) in TURNED:
            picture = ImageOps.exif_transpose(picture)
            notes.append("turned upright, as its EXIF data say")
    return picture, notes


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings of odd metadata, which matter to nobody here. Not by several threads: it is for all of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _problems_named(content: bytes, name: str) -> Iterator[None]:
    """Say of which picture something is wrong, whatever its decoder stumbles over."""
    try:
        yield
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"{name}: more than {MOST_PIXELS:,} pixels: shrink it first") from None
    except UnidentifiedImageError:
        raise DataError(f"{name}: {_what(content)}: give a picture ({', '.join(FORMATS)})") from None
    except Exception as error:
        reason = flat(error) or type(error).__name__
        raise DataError(f"{name}: a damaged picture, or none ({reason}): get it again") from None


def _what(content: bytes) -> str:
    what = what_is(content[:512])
    return f"{what}, which is no picture that can be read" if what else "no picture that can be read"


def _converted(picture: Image.Image, mode: str, name: str) -> tuple[Image.Image, list[str]]:
    """A picture with these channels, and what was converted."""
    notes = []
    if picture.mode not in KNOWN_MODES:
        raise DataError(f"{name}: its colours are kept as {picture.mode}: save it in grey or RGB, with 8 bits a pixel")
    if picture.mode in DEEP:
        picture = _of_8_bits(picture, name)
        notes.append(TO_8_BITS)
    if picture.mode == "F":
        raise DataError(f"{name}: its pixels are fractions: save it with 8 bits a pixel, from 0 to 255")
    is_grey = _is_grey(picture)
    if "A" not in mode and (picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info):
        picture, made = _on_a_ground(picture.convert("RGBA"))
        notes += made
    if picture.mode == "CMYK":
        notes.append("CMYK, the colours of print, were converted to RGB")
    if is_grey != (mode in GREY):
        notes.append("converted from grey to colour" if is_grey else "converted from colour to grey")
    if picture.mode != mode:
        picture = picture.convert("RGB" if picture.mode == "P" else picture.mode).convert(mode)
    return picture, notes


def _on_a_ground(picture: Image.Image) -> tuple[Image.Image, list[str]]:
    """A picture without what is transparent in it: on white, or on black where all that can be seen is white."""
    pixels = np.array(picture)
    colours, alpha = pixels[:, :, :3], pixels[:, :, 3]
    if alpha.min() == 255:
        return picture.convert("RGB"), []
    ground = "black" if alpha.max() > 0 and colours[alpha > 0].min() == 255 else "white"
    on_it = Image.alpha_composite(Image.new("RGBA", picture.size, ground), picture).convert("RGB")
    return on_it, [f"what is transparent was made {ground}"]


def _of_8_bits(picture: Image.Image, name: str) -> Image.Image:
    pixels = np.array(picture).astype(np.int64)
    if pixels.min() < 0 or pixels.max() > 65_535:
        raise DataError(f"{name}: its pixels are not from 0 to 65,535: save it with 8 bits a pixel, from 0 to 255")
    if picture.mode == "I" and pixels.max() <= 255:
        raise DataError(
            f"{name}: its pixels have 32 bits, and none is above 255, so that nobody knows what white is: save it with"
            " 8 bits a pixel, from 0 to 255"
        )
    return Image.fromarray(((pixels + 128) // 257).astype(np.uint8))
