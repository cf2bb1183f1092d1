"""The PyTorch engine: the reference, CPU or CUDA. The whole image set lives on the device as bytes.

Letters in shapes: N images, C channels, H = W = size pixels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from stepladder._base.machine import cpu_target
from stepladder._base.wording import option
from stepladder.datasets.data import Splits
from stepladder.datasets.image_set import Labelled
from stepladder.engines.lacks import in_none_of, lacking
from stepladder.engines.torch.ops import LAYERS, STEPS, Place
from stepladder.errors import EngineError
from stepladder.networks.geometry import Network
from stepladder.recipes.augment import Warps, in_holes
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import EngineIdentity

EVALUATION_BATCH = 500


class TorchEngine:
    """PyTorch on one thread of the CPU, or on a GPU."""

    def __init__(self, device: str = "auto") -> None:
        if device == "cuda" and not torch.cuda.is_available():
            remedy = f"use {option('device', 'cpu')}, or install a CUDA build of torch"
            raise EngineError(f"this PyTorch sees no CUDA device: {remedy}")
        self._device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        torch.set_num_threads(1)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(name="torch", version=str(torch.__version__), device=self._device, revision=1)

    @property
    def versions(self) -> dict[str, str]:
        instructions = torch.backends.cpu.get_cpu_capability()
        return {"torch": str(torch.__version__), "torch-instructions": instructions, "cpu-target": cpu_target()}

    @property
    def notes(self) -> list[str]:
        return []

    def without_cache(self) -> "TorchEngine":
        return self

    def has_sound_code(self) -> bool:
        return True  # PyTorch's own, and none is kept

    def lacks(self, network: Network) -> list[str]:
        return lacking(network, in_none_of(LAYERS, STEPS))

    def model(self, network: Network, recipe: Recipe, *, splits: Splits) -> "TorchModel":
        return TorchModel(network, recipe, splits=splits, device=torch.device(self._device))


class TorchModel:
    """See engines.Model. Each parameter is a leaf of autograd that views its part of the flat array."""

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        *,
        splits: Splits,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.network = network
        self.recipe = recipe
        self.dropout = recipe.dropout
        self.device = device
        self.dtype = dtype
        self.parameters = torch.zeros(network.params, device=device, dtype=dtype)
        self.gradients = torch.zeros_like(self.parameters)
        self.leaves = _views(self.parameters, network)
        self.running = {
            name: torch.zeros(shape, device=device, dtype=dtype) for name, shape in network.statistic_shapes.items()
        }
        self.rows = splits.train.rows
        self.images = _shared(splits.train.stored).to(device)  # (M, C, H, W) uint8
        self.labels = torch.tensor(splits.train.labels, device=device)
        mean, std = splits.pixel_mean[:, None, None], splits.pixel_std[:, None, None]
        self.pixel_scale = torch.tensor(1 / (255 * std), device=device, dtype=dtype)
        self.pixel_offset = torch.tensor(-mean / std, device=device, dtype=dtype)
        self.random = torch.Generator(device)

    def begin_epoch(self, *, dropout_seed: int) -> None:
        self.random.manual_seed(dropout_seed)
        self.loss_sum = torch.zeros((), device=self.device, dtype=torch.float64)
        self.n_correct = torch.zeros((), device=self.device, dtype=torch.int64)

    def learn(
        self,
        indices: NDArray[np.int64],
        warps: Warps | None,
        targets: NDArray[np.float32] | None = None,
        *,
        counted: bool = True,
    ) -> None:
        labels = self.labels[torch.from_numpy(indices).to(self.device)]
        logits = self.forward(self._images(indices, warps), training=True)
        if targets is None:
            loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.loss.label_smoothing)
        else:
            loss = F.cross_entropy(logits, torch.tensor(targets, device=self.device, dtype=self.dtype))
        gradients = torch.autograd.grad(loss, list(self.leaves.values()))
        torch.cat([gradient.reshape(-1) for gradient in gradients], out=self.gradients)
        if counted:
            self.loss_sum += loss.detach().double() * len(indices)
            self.n_correct += (logits.argmax(1) == labels).sum()

    def answers(self, indices: NDArray[np.int64], warps: Warps | None) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = (
                self.forward(self._images(indices, warps), training=False).float().cpu().numpy()
            )
        return logits

    def _images(self, indices: NDArray[np.int64], warps: Warps | None) -> Tensor:
        """Training images (n, C, H, W), warped and normalised."""
        rows = indices if self.rows is None else self.rows[indices]
        pixels = self.images[torch.from_numpy(rows).to(self.device)].to(self.dtype)
        if warps is not None:
            pixels = warp(pixels, warps)
        return pixels * self.pixel_scale + self.pixel_offset

    def tally(self) -> tuple[float, int]:
        return self.loss_sum.item(), int(self.n_correct.item())

    def logits(self, part: Labelled) -> NDArray[np.float32]:
        answers = []
        with torch.inference_mode():
            for start in range(0, len(part), EVALUATION_BATCH):
                pixels = torch.tensor(part.take(slice(start, start + EVALUATION_BATCH)), device=self.device)
                x = pixels.to(self.dtype).mul_(self.pixel_scale).add_(self.pixel_offset)  # one copy, not three
                answers.append(self.forward(x, training=False).float().cpu())
        logits: NDArray[np.float32] = torch.cat(answers).numpy()
        return logits

    def forward(self, x: Tensor, *, training: bool) -> Tensor:
        """Logits (N, n_classes) of normalised images (N, C, H, W)."""
        outputs: list[Tensor] = []
        for row in self.network.rows:
            x = LAYERS[type(row.layer)](row, self.leaves, x)
            if row.added is not None:
                x = x + outputs[row.added]
            for step in row.steps:
                x = STEPS[type(step)](step, Place(self, row.index, training), x)
            outputs.append(x)
        return x.flatten(1)

    def statistics(self) -> dict[str, NDArray[np.float32]]:
        return {name: self.to_numpy(array) for name, array in self.running.items()}

    def set_statistics(self, statistics: Mapping[str, NDArray[np.float32]]) -> None:
        for name, array in self.running.items():
            array.copy_(torch.from_numpy(statistics[name]))

    def to_array(self, numbers: NDArray[np.float32]) -> Tensor:
        return torch.tensor(numbers, device=self.device, dtype=self.dtype)

    def to_numpy(self, array: Any) -> NDArray[np.float32]:
        return np.array(array.detach().cpu().numpy(), dtype=np.float32)


def _shared(images: NDArray[np.uint8]) -> Tensor:
    """Images as a tensor on the same memory; PyTorch wants that to be writeable."""
    return torch.from_numpy(images if images.flags.writeable else images.copy())


def warp(pixels: Tensor, warps: Warps) -> Tensor:
    """augment.warp on the device of the images (N, C, H, W)."""
    n, _, height, width = pixels.shape
    down, across = (torch.arange(side, device=pixels.device, dtype=pixels.dtype) for side in (height, width))
    y, x = torch.meshgrid(down, across, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)]).reshape(3, -1)
    source = (torch.from_numpy(warps.maps).to(pixels) @ points).reshape(n, 2, height, width)  # x before y
    if warps.curves is not None:
        curves = torch.from_numpy(warps.curves).to(pixels)
        source = source + curves[:, ::2, None, :width] + curves[:, 1::2, :height, None]
    warped = _sampled(pixels, source)
    if warps.holes is None:
        return warped
    return warped.masked_fill(torch.from_numpy(in_holes(warps.holes, (height, width))).to(pixels.device), 0.0)


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


def _views(flat: Tensor, network: Network) -> dict[str, Tensor]:
    shapes = network.parameter_shapes
    return {
        name: flat[part].view(shapes[name]).detach().requires_grad_() for name, part in network.parameter_slices.items()
    }
