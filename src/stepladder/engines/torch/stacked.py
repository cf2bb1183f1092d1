"""Several seeds of a network trained at once: their parameters in one array, their images side by side as channels.

Letters in shapes: S seeds, n images of each, P parameters, C channels, H x W pixels.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from stepladder.datasets.data import Splits
from stepladder.datasets.image_set import Labelled
from stepladder.engines.torch.dropping import Bits
from stepladder.engines.torch.held import Held
from stepladder.engines.torch.images import Images
from stepladder.engines.torch.stacked_ops import LAYERS, STEPS
from stepladder.networks.geometry import Network
from stepladder.recipes.augment import Warps
from stepladder.recipes.recipe import Recipe

EVALUATION_BATCH = 500  # images of all seeds together, but as many of each as a step has


class StackedModel(Held):
    """See engines.Together.together. What is a number of one model is an array (S,) here."""

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        *,
        splits: Splits,
        n_seeds: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.network, self.recipe, self.n_seeds = network, recipe, n_seeds
        self.dropout = recipe.dropout
        self.device, self.dtype = device, dtype
        self.parameters = torch.zeros(n_seeds, network.params, device=device, dtype=dtype)
        self.gradients = torch.zeros_like(self.parameters)
        self.running = {
            name: torch.zeros(n_seeds, *shape, device=device, dtype=dtype)
            for name, shape in network.statistic_shapes.items()
        }
        self.images = Images(splits, device=device, dtype=dtype)
        self.leaves: dict[str, Tensor] = {}
        self._bits = Bits(network, n_seeds=n_seeds, device=device)

    def begin_epoch(self, *, dropout_seed: NDArray[np.int64] | int) -> None:
        self._bits.seed(np.broadcast_to(dropout_seed, self.n_seeds).tolist())
        self.loss_sum = torch.zeros(self.n_seeds, device=self.device, dtype=torch.float64)
        self.n_correct = torch.zeros(self.n_seeds, device=self.device, dtype=torch.int64)

    def learn(
        self, indices: Any, warps: Warps | None, targets: NDArray[np.float32] | None = None, *, counted: bool = True
    ) -> None:
        rows = torch.as_tensor(indices, device=self.device)  # (S, n)
        labels, x = self.images.labels[rows], self._side_by_side(rows, warps)
        if self.dropout:
            self._bits.draw(rows.shape[1])
        self.leaves = {name: leaf.requires_grad_() for name, leaf in self._parameters().items()}
        logits = self._logits(x, training=True)
        if targets is None:
            losses = self._losses(logits, labels.flatten(), label_smoothing=self.recipe.loss.label_smoothing)
        else:
            losses = self._losses(logits, torch.as_tensor(targets, device=self.device, dtype=self.dtype).flatten(0, 1))
        gradients = torch.autograd.grad(losses.sum(), list(self.leaves.values()))
        torch.cat([gradient.flatten(1) for gradient in gradients], 1, out=self.gradients)
        if counted:
            self.loss_sum += losses.detach().double() * rows.shape[1]
            self.n_correct += (logits.argmax(2) == labels).sum(1)

    def answers(self, indices: Any, warps: Warps | None) -> NDArray[np.float32]:
        with torch.inference_mode():
            self.leaves = self._parameters()
            rows = torch.as_tensor(indices, device=self.device)
            return self.to_numpy(self._logits(self._side_by_side(rows, warps), training=False))

    def tally(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        return self.loss_sum.cpu().numpy(), self.n_correct.cpu().numpy()

    def logits(self, part: Labelled) -> NDArray[np.float32]:
        size = max(EVALUATION_BATCH // self.n_seeds, min(self.recipe.batch_size, EVALUATION_BATCH))
        answers = []
        with torch.inference_mode():
            self.leaves = self._parameters()
            for start in range(0, len(part), size):
                x = self.images.normalised(torch.tensor(part.take(slice(start, start + size)), device=self.device))
                answers.append(self._logits(x.repeat(1, self.n_seeds, 1, 1), training=False).float().cpu())
        logits: NDArray[np.float32] = torch.cat(answers, 1).numpy()
        return logits

    def _parameters(self) -> dict[str, Tensor]:
        """By name, (S, ...): copies, for a seed's are apart from the next one's by all its others."""
        shapes, slices = self.network.parameter_shapes, self.network.parameter_slices
        return {
            name: self.parameters[:, part].reshape(self.n_seeds, *shapes[name]).detach()
            for name, part in slices.items()
        }

    def _side_by_side(self, rows: Tensor, warps: Warps | None) -> Tensor:
        """Training images (S, n) as the network sees them: (n, S C, H, W)."""
        x = self.images.batch(rows.flatten(), None if warps is None else _in_a_row(warps))
        return x.view(*rows.shape, *x.shape[1:]).transpose(0, 1).flatten(1, 2)

    def _logits(self, x: Tensor, *, training: bool) -> Tensor:
        """(S, n, n_classes) of images side by side."""
        return self.through(x, LAYERS, STEPS, training=training).reshape(len(x), self.n_seeds, -1).transpose(0, 1)

    @staticmethod
    def _losses(logits: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """The mean loss of each seed, (S,); ``targets`` are one behind the other, labels (S n,) or probabilities."""
        each = F.cross_entropy(logits.flatten(0, 1), targets, reduction="none", label_smoothing=label_smoothing)
        return each.view(logits.shape[:2]).mean(1)


def _in_a_row(warps: Warps) -> Warps:
    """Of (S, n, ...), (S n, ...)."""
    parts = (warps.maps, warps.curves, warps.holes)
    return Warps(*(None if part is None else part.reshape(-1, *part.shape[2:]) for part in parts))  # type: ignore[arg-type]
