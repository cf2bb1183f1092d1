"""Training images on the device, as bytes: gathered, warped and normalised batch by batch."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from stepladder.datasets.data import Splits
from stepladder.recipes.augment import Warps


class Images:
    """All training images of ``splits`` with their labels, and how pixels become what a network sees."""

    def __init__(self, splits: Splits, *, device: torch.device, dtype: torch.dtype) -> None:
        rows = splits.train.rows
        self.rows = None if rows is None else torch.from_numpy(rows).to(device)
        self.stored = _shared(splits.train.stored).to(device)  # (M, C, H, W) uint8
        self.labels = torch.tensor(splits.train.labels, device=device)
        self.dtype = dtype
        mean, std = splits.pixel_mean[:, None, None], splits.pixel_std[:, None, None]
        self.pixel_scale = torch.tensor(1 / (255 * std), device=device, dtype=dtype)
        self.pixel_offset = torch.tensor(-mean / std, device=device, dtype=dtype)

    def batch(self, indices: Tensor, warps: Warps | None) -> Tensor:
        """Training images (n, C, H, W), warped and normalised; ``warps`` may hold tensors."""
        pixels = self.stored[indices if self.rows is None else self.rows[indices]].to(self.dtype)
        if warps is not None:
            pixels = warp(pixels, warps)
        return pixels * self.pixel_scale + self.pixel_offset

    def normalised(self, pixels: Tensor) -> Tensor:
        """Bytes (n, C, H, W) as a network sees them: one copy, not three."""
        return pixels.to(self.dtype).mul_(self.pixel_scale).add_(self.pixel_offset)


def _shared(images: NDArray[np.uint8]) -> Tensor:
    """Images as a tensor on the same memory; PyTorch wants that to be writeable."""
    return torch.from_numpy(images if images.flags.writeable else images.copy())


def warp(pixels: Tensor, warps: Warps) -> Tensor:
    """augment.warp on the device of the images (N, C, H, W), of arrays or tensors."""
    n, _, height, width = pixels.shape
    down, across = (torch.arange(side, device=pixels.device, dtype=pixels.dtype) for side in (height, width))
    y, x = torch.meshgrid(down, across, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)
    source = (_like(pixels, warps.maps) @ points).reshape(n, 2, height, width)  # x before y
    if warps.curves is not None:
        curves = _like(pixels, warps.curves)
        source = source + curves[:, ::2, None, :width] + curves[:, 1::2, :height, None]
    warped = _sampled(pixels, source)
    if warps.holes is None:
        return warped
    left, top, right, bottom = (each[:, None, None, None] for each in _like(pixels, warps.holes).unbind(1))
    return warped.masked_fill((x >= left) & (x < right) & (y >= top) & (y < bottom), 0.0)


def _sampled(pixels: Tensor, source: Tensor) -> Tensor:
    """Images (N, C, H, W) at places (N, 2, H, W) of theirs, x before y, between pixels and zero outside."""
    height, width = pixels.shape[2:]
    aligned = min(height, width) > 1  # from the first pixel's centre to the last one's: a single one's has no length
    if height == width and aligned:
        grid = source.permute(0, 2, 3, 1) * (2 / (width - 1)) - 1
    else:
        sides = torch.tensor([width, height], device=pixels.device, dtype=pixels.dtype)
        places = source.permute(0, 2, 3, 1)
        grid = places * (2 / (sides - 1)) - 1 if aligned else (2 * places + 1) / sides - 1
    return F.grid_sample(pixels, grid, padding_mode="zeros", align_corners=aligned)


def _like(pixels: Tensor, array: Any) -> Tensor:
    return torch.as_tensor(array).to(pixels)
