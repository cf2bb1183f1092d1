"""The PyTorch engine: the reference, CPU or CUDA. The whole image set lives on the device as bytes.

Letters in shapes: N images, C channels, H x W pixels.
"""

import os
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from stepladder._base.machine import cpu_target
from stepladder._base.wording import option, shown
from stepladder.datasets.data import Splits
from stepladder.datasets.image_set import Labelled
from stepladder.engines.lacks import in_none_of, lacking
from stepladder.engines.torch import memory, stacked_ops
from stepladder.engines.torch.dropping import Bits
from stepladder.engines.torch.held import Held
from stepladder.engines.torch.images import Images
from stepladder.engines.torch.ops import LAYERS, STEPS
from stepladder.engines.torch.stacked import StackedModel
from stepladder.errors import EngineError
from stepladder.networks.geometry import Network
from stepladder.recipes.augment import Warps
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import TOGETHER_REVISION, EngineIdentity

EVALUATION_BATCH = 500
TOGETHER = "STEPLADDER_TOGETHER"  # in the environment: the most seeds that are trained at once, on a CPU too


class TorchEngine:
    """PyTorch on one thread of the CPU, or on a GPU.

    On a GPU it trains several seeds at once, as many as fit into its memory but no more than ``together`` (see
    engines.Together); on a CPU only if ``together`` is given, as an argument or in the environment (TOGETHER): what is
    trained there has a revision of its own, for its last bits depend on how many seeds are trained with it.
    """

    def __init__(self, device: str = "auto", *, together: int | None = None) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            remedy = f"use {option('device', 'cpu')}, or install a CUDA build of torch"
            raise EngineError(f"this PyTorch sees no CUDA device: {remedy}")
        self._device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        self._most = _most_asked_for() if together is None else together
        self._free: int | None = None
        self.dtype = torch.float32
        torch.set_num_threads(1)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False  # with it a convolution's factors have 10 bits, not 23

    @property
    def identity(self) -> EngineIdentity:
        together = self._device == "cuda" or self._most is not None
        revision = TOGETHER_REVISION if together else 1
        return EngineIdentity(name="torch", version=str(torch.__version__), device=self._device, revision=revision)

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
        return TorchModel(network, recipe, splits=splits, device=torch.device(self._device), dtype=self.dtype)

    def most_together(self, network: Network, recipe: Recipe, *, n_train: int, n_processes: int = 1) -> int:
        teachers = [] if recipe.teacher is None else [recipe.teacher.network_for(network.image)]
        if any(lacking(each, in_none_of(stacked_ops.LAYERS, stacked_ops.STEPS)) for each in [network, *teachers]):
            return 1
        if self._device == "cpu":
            return self._most or 1
        if self._free is None:  # of the first time: what is trained meanwhile was given its part of it
            self._free = torch.cuda.mem_get_info()[0]
        fitting = memory.fitting(self._free // n_processes, network, recipe, n_train=n_train)
        return fitting if self._most is None else min(fitting, self._most)

    def together(self, n: int) -> "TorchEngine":
        return _Several(self, n)

    def to_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device)


class _Several(TorchEngine):
    """The same engine, whose models train ``n`` seeds at once."""

    def __init__(self, engine: TorchEngine, n: int) -> None:
        vars(self).update(vars(engine))
        self._n = n

    def model(self, network: Network, recipe: Recipe, *, splits: Splits) -> Any:
        device = torch.device(self._device)
        return StackedModel(network, recipe, splits=splits, n_seeds=self._n, device=device, dtype=self.dtype)


def _most_asked_for() -> int | None:
    """What the environment says. Raises EngineError for what is no number from 1 on."""
    asked = os.environ.get(TOGETHER, "")
    if asked and not (asked.isdecimal() and int(asked)):
        raise EngineError(f"{TOGETHER} is {shown(asked)}: it is how many seeds are trained at once, 1 or more")
    return int(asked) if asked else None


class TorchModel(Held):
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
        self._training = Images(splits, device=device, dtype=dtype)
        self.images, self.labels = self._training.stored, self._training.labels
        self._bits = Bits(network, n_seeds=1, device=device)

    def begin_epoch(self, *, dropout_seed: int) -> None:
        self._bits.seed([dropout_seed])
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
        if self.dropout:
            self._bits.draw(len(indices))
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
        return self._training.batch(torch.from_numpy(indices).to(self.device), warps)

    def tally(self) -> tuple[float, int]:
        return self.loss_sum.item(), int(self.n_correct.item())

    def logits(self, part: Labelled) -> NDArray[np.float32]:
        answers = []
        with torch.inference_mode():
            for start in range(0, len(part), EVALUATION_BATCH):
                pixels = torch.tensor(part.take(slice(start, start + EVALUATION_BATCH)), device=self.device)
                answers.append(self.forward(self._training.normalised(pixels), training=False).float().cpu())
        logits: NDArray[np.float32] = torch.cat(answers).numpy()
        return logits

    def forward(self, x: Tensor, *, training: bool) -> Tensor:
        """Logits (N, n_classes) of normalised images (N, C, H, W)."""
        return self.through(x, LAYERS, STEPS, training=training).flatten(1)


def _views(flat: Tensor, network: Network) -> dict[str, Tensor]:
    shapes = network.parameter_shapes
    return {
        name: flat[part].view(shapes[name]).detach().requires_grad_() for name, part in network.parameter_slices.items()
    }
