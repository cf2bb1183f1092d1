"""Augmentation in two halves: draw what happens to each image from a generator, then warp by it.

``warp`` is the reference every engine's own warp is tested against.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.recipe import Augment


def draw(augment: Augment, n: int, *, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw n inverse affine maps, (n, 2, 3) float32: output pixel (x, y, 1) -> source pixel (x, y).

    Every quantity is drawn whether or not it is used, so that turning one on leaves the draws of the others alone.
    """
    unit = rng.uniform(-1.0, 1.0, (n, 5))
    angle = np.deg2rad(augment.rotation_deg) * unit[:, 0]
    shift_x, shift_y = augment.shift_px * unit[:, 1], augment.shift_px * unit[:, 2]
    shrink = 1.0 / (1.0 + augment.scale * unit[:, 3])
    shear = np.tan(np.deg2rad(augment.shear_deg) * unit[:, 4])

    cos, sin = shrink * np.cos(angle), shrink * np.sin(angle)
    # rotation and scale after a shear along x: [[cos, sin], [-sin, cos]] @ [[1, shear], [0, 1]]
    linear = np.stack([np.stack([cos, sin + cos * shear], -1), np.stack([-sin, cos - sin * shear], -1)], 1)
    centre = np.full(2, (size - 1) / 2)
    moved = centre + np.stack([shift_x, shift_y], -1)
    offset = centre - np.einsum("nij,nj->ni", linear, moved)
    return np.concatenate([linear, offset[:, :, None]], 2).astype(np.float32)


def warp(images: NDArray[Any], maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Warp images (n, C, size, size) by maps (n, 2, 3), bilinear, zeros outside; float32, same scale as the input."""
    n, _, size, _ = images.shape
    y, x = np.mgrid[0:size, 0:size]
    points = np.stack([x, y, np.ones_like(x)]).reshape(3, -1).astype(np.float64)  # (3, size * size)
    source = maps.astype(np.float64) @ points  # (n, 2, size * size): x then y
    corner = np.floor(source).astype(np.int64)
    part = source - corner
    out = np.zeros((n, images.shape[1], size * size))
    which = np.arange(n)[:, None]
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        at_x, at_y = corner[:, 0] + dx, corner[:, 1] + dy
        inside = (at_x >= 0) & (at_x < size) & (at_y >= 0) & (at_y < size)
        weight = np.where(dx, part[:, 0], 1 - part[:, 0]) * np.where(dy, part[:, 1], 1 - part[:, 1]) * inside
        pixels = images[which, :, np.clip(at_y, 0, size - 1), np.clip(at_x, 0, size - 1)]  # (n, size * size, C)
        out += (pixels * weight[:, :, None]).transpose(0, 2, 1)
    return out.reshape(images.shape).astype(np.float32)
