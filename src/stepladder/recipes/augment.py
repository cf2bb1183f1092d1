"""Augmentation in two halves: draw what happens to each image from generators, then warp by it.

``warp`` is the reference every engine's own warp is tested against.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.networks.sides import Sides, is_line, pair
from stepladder.recipes.draws import Purpose
from stepladder.recipes.recipe import Augment

N_COSINES = 4  # of an elastic curve: a bend is at least a quarter of the image long


@dataclass(frozen=True, eq=False)
class Warps:
    """What happens to n images.

    ``maps`` (n, 2, 3) float32 are inverse affine maps: output pixel (x, y, 1) -> source pixel (x, y). ``curves``
    (n, 4, longer side) float32 are added to that: to the source's x one by the output's x and one by its y, then so to
    the source's y; the ends of those by the shorter side are of no use. ``holes`` (n, 4) float32 are squares of the
    output that are black: from (left, top) to before (right, bottom). Both are None where nothing is bent, and nothing
    cut out.
    """

    maps: NDArray[np.float32]
    curves: NDArray[np.float32] | None = None
    holes: NDArray[np.float32] | None = None

    def __getitem__(self, part: slice) -> "Warps":
        """What happens to some of the images; of several seeds' (S, n, ...), to some of each."""
        curves = None if self.curves is None else self.curves[..., part, :, :]
        return Warps(self.maps[..., part, :, :], curves, None if self.holes is None else self.holes[..., part, :])


def draw_warps(augment: Augment, n: int, *, size: Sides, rng: Callable[[Purpose], np.random.Generator]) -> Warps:
    """Draw what happens to n images of this size.

    ``rng`` gives a generator for each of "augment", "mirror", "elastic" and "cutout": so turning one on leaves the
    draws of the others alone. All is in pixels, down and across alike. An image of one row or one column of pixels, as
    a signal is, is moved along it and not turned: all else would move it out of sight.
    """
    maps = draw(augment, n, size=size, rng=rng("augment"))
    return Warps(
        flipped(maps, size=size, rng=rng("mirror")) if augment.mirror else maps,
        draw_curves(augment.elastic_px, n, size=size, rng=rng("elastic")) if augment.elastic_px else None,
        draw_holes(augment.cutout_px, n, size=size, rng=rng("cutout")) if augment.cutout_px else None,
    )


def draw(augment: Augment, n: int, *, size: Sides, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw n inverse affine maps, (n, 2, 3) float32: output pixel (x, y, 1) -> source pixel (x, y).

    Every quantity is drawn whether or not it is used, so that turning one on leaves the draws of the others alone.
    """
    height, width = pair(size)
    unit = rng.uniform(-1.0, 1.0, (n, 5))
    if is_line(size):
        unit[:, [0, 1 if width == 1 else 2, 4]] = 0  # no turning, no shift across it, no shear
    angle = np.deg2rad(augment.rotation_deg) * unit[:, 0]
    shift_x, shift_y = augment.shift_px * unit[:, 1], augment.shift_px * unit[:, 2]
    shrink = 1.0 / (1.0 + augment.scale * unit[:, 3])
    shear = np.tan(np.deg2rad(augment.shear_deg) * unit[:, 4])

    cos, sin = shrink * np.cos(angle), shrink * np.sin(angle)
    # rotation and scale after a shear along x: [[cos, sin], [-sin, cos]] @ [[1, shear], [0, 1]]
    linear = np.stack([np.stack([cos, sin + cos * shear], -1), np.stack([-sin, cos - sin * shear], -1)], 1)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    moved = centre + np.stack([shift_x, shift_y], -1)
    offset = centre - np.einsum("nij,nj->ni", linear, moved)
    return np.concatenate([linear, offset[:, :, None]], 2).astype(np.float32)


def flipped(maps: NDArray[np.float32], *, size: Sides, rng: np.random.Generator) -> NDArray[np.float32]:
    """The maps (n, 2, 3) with a horizontal flip of each with probability 1/2: x then counts from the other side."""
    other = maps[:, 0] * np.float32(-1) + np.array([0, 0, pair(size)[1] - 1], np.float32)
    chosen = rng.integers(0, 2, (len(maps), 1)) == 1
    return np.stack([np.where(chosen, other, maps[:, 0]), maps[:, 1]], 1)


def draw_curves(elastic_px: float, n: int, *, size: Sides, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw four smooth curves for each of n images, (n, 4, longer side) float32, see Warps.

    Each has this root mean square in pixels.

    Sums of cosines of 1 to N_COSINES half waves with normal amplitudes: Simard et al. 2003's smoothed noise, for rows
    and columns instead of pixels, which costs n numbers instead of n squared.
    """
    height, width = pair(size)
    amplitudes = elastic_px * (2 / N_COSINES) ** 0.5 * rng.standard_normal((n, 4, N_COSINES), np.float32)
    curves: NDArray[np.float32] = amplitudes @ _cosines(width, max(height, width))
    if height != width:
        curves[:, 1::2] = amplitudes[:, 1::2] @ _cosines(height, max(height, width))
    if is_line(size):
        curves[:, 2:] *= height > 1
        curves[:, :2] *= width > 1
    return curves


def _cosines(side: int, n: int) -> NDArray[np.float32]:
    """(N_COSINES, n): the first of them along the side, each of mean square 1/2."""
    waves = np.arange(1, N_COSINES + 1)[:, None]
    return np.cos(np.pi * waves * (np.arange(n) + 0.5) / side).astype(np.float32)


def draw_holes(cutout_px: int, n: int, *, size: Sides, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a square for each of n images, (n, 4) float32: left, top, right, bottom; its centre is any pixel."""
    ends = size if isinstance(size, int) else size[::-1]  # x before y
    corner = rng.integers(0, ends, (n, 2)) - cutout_px // 2
    return np.concatenate([corner, corner + cutout_px], 1).astype(np.float32)


def warp(images: NDArray[Any], warps: Warps) -> NDArray[np.float32]:
    """Warp images (n, C, H, W), bilinear, zeros outside; float32, same scale as the input."""
    n, _, height, width = images.shape
    y, x = np.mgrid[0:height, 0:width]
    points = np.stack([x, y, np.ones_like(x)]).reshape(3, -1).astype(np.float64)  # (3, H * W)
    source = warps.maps.astype(np.float64) @ points  # (n, 2, H * W): x then y
    if warps.curves is not None:
        by_column, by_row = warps.curves[:, ::2, None, :width], warps.curves[:, 1::2, :height, None]
        source += (by_column.astype(np.float64) + by_row).reshape(n, 2, -1)
    corner = np.floor(source).astype(np.int64)
    part = source - corner
    out = np.zeros((n, images.shape[1], height * width))
    which = np.arange(n)[:, None]
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        at_x, at_y = corner[:, 0] + dx, corner[:, 1] + dy
        inside = (at_x >= 0) & (at_x < width) & (at_y >= 0) & (at_y < height)
        weight = np.where(dx, part[:, 0], 1 - part[:, 0]) * np.where(dy, part[:, 1], 1 - part[:, 1]) * inside
        pixels = images[which, :, np.clip(at_y, 0, height - 1), np.clip(at_x, 0, width - 1)]  # (n, H * W, C)
        out += (pixels * weight[:, :, None]).transpose(0, 2, 1)
    warped = out.reshape(images.shape).astype(np.float32)
    return warped if warps.holes is None else np.where(in_holes(warps.holes, (height, width)), np.float32(0), warped)


def in_holes(holes: NDArray[np.float32], size: Sides) -> NDArray[np.bool_]:
    """Which pixels of images of this size lie in the squares (n, 4): (n, 1, H, W)."""
    left, top, right, bottom = holes[:, :, None].transpose(1, 0, 2)  # (n, 1) each
    y, x = map(np.arange, pair(size))
    across, down = (x >= left) & (x < right), (y >= top) & (y < bottom)
    inside: NDArray[np.bool_] = down[:, None, :, None] & across[:, None, None, :]
    return inside
