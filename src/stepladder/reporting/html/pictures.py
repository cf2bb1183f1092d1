"""Small pictures as PNG data URIs: images of the data set, and where a layer looks."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stepladder.networks.geometry import ImageShape

MOST_SIDE = 112  # pixels: as large as the page shows pictures
HEAT = np.array([255, 138, 31])  # orange on a grey digit: told apart by lightness too


MOST_ASPECT = 8  # of a side to the other: a line of pixels is shown wider than it is, to be seen


def shares(image: ImageShape) -> tuple[float, float]:
    """Height and width of an image as it is shown, as parts of the longer one."""
    longest = max(image.height, image.width)
    return max(image.height / longest, 1 / MOST_ASPECT), max(image.width / longest, 1 / MOST_ASPECT)


def is_long(image: ImageShape) -> bool:
    """Whether it is shown wider than it is."""
    return max(image.height, image.width) > MOST_ASPECT * min(image.height, image.width)


def aspect_style(image: ImageShape) -> str | None:
    """What the style sheet has to know of images that are not square."""
    if isinstance(image.size, int):
        return None
    tall, wide = shares(image)
    return f"--tall:{tall:.4g};--wide:{wide:.4g};--aspect:{wide / tall:.4g}"


def data_uri(pixels: NDArray[np.uint8], *, most_side: int | None = None) -> str:
    """Pixels (H, W) or (H, W, 3), 0 to 255, as a PNG in a data URI; shrunk if ``most_side`` is smaller."""
    file = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if most_side is not None:
        picture.thumbnail((most_side, most_side), Image.Resampling.BOX)
    picture.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def image_uri(image: NDArray[np.uint8], *, most_side: int | None = None) -> str:
    """An image (C, H, W) of a data set: grey for one channel, colour for three, the first channel's grey for others."""
    return data_uri(image.transpose(1, 2, 0) if len(image) == 3 else image[0], most_side=most_side)


def field_uri(image: NDArray[np.uint8], energy: NDArray[np.float64]) -> str:
    """An image (C, H, W) in dim grey, and over it the energy (H, W) of gradients as heat, by its square root."""
    grey = image.mean(0)[:, :, None] * 0.45
    largest = energy.max()
    heat = np.sqrt(energy / largest)[:, :, None] if largest > 0 else np.zeros_like(grey)
    return data_uri((grey * (1 - heat) + HEAT * heat).astype(np.uint8), most_side=MOST_SIDE)
