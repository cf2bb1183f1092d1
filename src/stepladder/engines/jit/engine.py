"""The JIT engine: a network's whole training step as machine code of its own; no PyTorch.

Letters as in layout; N images.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

import llvmlite
import numpy as np
from numpy.typing import NDArray

from stepladder._base.machine import memory_bytes
from stepladder._base.wording import option
from stepladder.datasets.data import Splits
from stepladder.datasets.image_set import Labelled
from stepladder.engines.jit.code import object_cache
from stepladder.engines.jit.code.emit import Kernel
from stepladder.engines.jit.code.layout import LANES, blocks_for
from stepladder.engines.jit.code.machine_code import MachineCode
from stepladder.engines.jit.code.memory import aligned
from stepladder.engines.jit.code.target import Target, host
from stepladder.engines.jit.kernels.gather import Pixels, gathered, lanes_of, warped
from stepladder.engines.jit.network import LAYERS, PlannedNetwork, plan_network
from stepladder.engines.jit.plan import Buffer, Plan
from stepladder.engines.jit.steps import activations
from stepladder.engines.lacks import in_none_of, lacking
from stepladder.errors import EngineError
from stepladder.networks.geometry import Network
from stepladder.recipes.augment import Warps
from stepladder.recipes.recipe import Augment, Recipe
from stepladder.runs.run import EngineIdentity

MOST_OF_MEMORY = 0.7


def for_device(device: str) -> "JitEngine":
    """The engine of this CPU. Raises EngineError for a GPU, RuntimeError where LLVM does not know the CPU."""
    if device == "cuda":
        others = f"{option('engine', 'torch')}, or {option('device', 'cpu')}"
        raise EngineError(f"the jit engine has no code for GPUs: use {others}")
    return JitEngine()


class JitEngine:
    """LLVM on one thread of the CPU: this one, unless a target is given."""

    def __init__(self, target: Target | None = None, *, use_cache: bool = True) -> None:
        self.target = target or host()
        self.use_cache = use_cache
        self._code: WeakSet[MachineCode] = WeakSet()  # of the models in use
        self._pixels: list[Pixels] = []

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(name="jit", version=llvmlite.__version__, device="cpu", revision=2)

    @property
    def versions(self) -> dict[str, str]:
        return {"llvmlite": llvmlite.__version__, **self.target.told()}

    @property
    def notes(self) -> list[str]:
        problem = object_cache.problem()
        return [problem] if problem else []

    def without_cache(self) -> "JitEngine":
        return JitEngine(self.target, use_cache=False)

    def has_sound_code(self) -> bool:
        return all(code.is_sound() for code in list(self._code))

    def lacks(self, network: Network) -> list[str]:
        return lacking(network, in_none_of(LAYERS, activations.ACTIVATIONS, activations.OF_ANOTHER_KIND))

    def compiled(self, planned: PlannedNetwork, recipe: Recipe) -> MachineCode:
        """The machine code of a plan, and of the gathering of its batches."""
        code = MachineCode(kernels_for(planned, recipe, self.target), self.target, use_cache=self.use_cache)
        self._code.add(code)
        return code

    def model(self, network: Network, recipe: Recipe, *, splits: Splits) -> "JitModel":
        return JitModel(network, recipe, splits=splits, engine=self)

    def pixels(self, part: Labelled, *, at_once: int) -> Pixels:
        """Images as the gathering kernels want them; the last few sets are kept for the next model."""
        for known in self._pixels:
            if known.part is part and (known.kept is not None or known.at_once >= at_once):
                return known
        self._pixels = [*self._pixels[-1:], Pixels(part, at_once=at_once)]
        return self._pixels[-1]


class JitModel:
    """See engines.Model. All arrays are parts of one arena, and the machine code works on that."""

    def __init__(self, network: Network, recipe: Recipe, *, splits: Splits, engine: JitEngine) -> None:
        self.network = network
        self.engine = engine
        self.planned = plan(network, recipe, n_train=len(splits.train), target=engine.target)
        self.n_blocks = self.planned.plan.n_blocks
        self.code = engine.compiled(self.planned, recipe)
        self._learn = self.code.function("learn")
        self._evaluate = self.code.function("evaluate")
        self._plain = self.code.function("gathered")
        self._warp = self.code.function("warped") if recipe.augment != Augment() else None

        self.arena = aligned(self.planned.plan.n_floats)
        for buffer in self.planned.plan.ones:
            self._view(buffer)[:] = 1
        self._start = self.arena.ctypes.data
        self.parameters = self._view(self.planned.parameters)
        self.gradients = self._view(self.planned.gradients)
        self.running = {name: self._view(buffer) for name, buffer in self.planned.statistics.items()}
        self._in_use = self._view(self.planned.in_use)
        self._loss = {name: self._view(buffer) for name, buffer in self.planned.loss.items()}
        self.dropout_keys = self._view(self.planned.dropout_keys).view(np.uint32)
        self._drops = recipe.dropout > 0
        self._indices = np.zeros(self.n_blocks * LANES, np.int64)

        self.images = engine.pixels(splits.train, at_once=self.n_blocks * LANES)
        self._labels = splits.train.labels.astype(np.float32)
        self._pixel_scale = (1 / (255 * splits.pixel_std)).astype(np.float32)
        self._pixel_offset = (-splits.pixel_mean / splits.pixel_std).astype(np.float32)
        self._n_images = -1

    def _view(self, buffer: Buffer) -> NDArray[np.float32]:
        return self.arena[buffer.start : buffer.start + buffer.size]

    def begin_epoch(self, *, dropout_seed: int) -> None:
        self._random = np.random.Generator(np.random.Philox(key=dropout_seed))
        self._answers: list[NDArray[np.float32]] = []

    def learn(
        self,
        indices: NDArray[np.int64],
        warps: Warps | None,
        targets: NDArray[np.float32] | None = None,
        *,
        counted: bool = True,
    ) -> None:
        n = len(indices)
        n_blocks = self._set_batch(n)
        self.gather(self.images, indices, warps)
        self._loss["labels"][:n] = self._labels[indices]
        assert (targets is None) == ("targets" not in self._loss)
        if targets is not None:
            by_lane = np.zeros((n_blocks * LANES, targets.shape[1]), np.float32)
            by_lane[:n] = targets
            wanted = self._loss["targets"].reshape(self.n_blocks, -1, LANES)
            wanted[:n_blocks] = by_lane.reshape(n_blocks, LANES, -1).transpose(0, 2, 1)
        if self._drops:
            self.dropout_keys[:] = self._random.integers(0, 2**32, len(self.dropout_keys), np.uint32)
        self._learn(self._start, n_blocks, n)
        if counted:
            self._answers.append(np.stack([self._loss[name][:n] for name in ("sum_exp", "rest", "hit")]))

    def _set_batch(self, n: int) -> int:
        """Prepare for batches of n images: what each counts, and none beyond the last."""
        assert n % LANES == 0 or self.planned.plan.ragged, (
            f"the code is for whole blocks of {LANES}, not for {n} images"
        )
        if n != self._n_images:
            self._n_images = n
            self._in_use[:n], self._in_use[n:] = 1, 0
            self._loss["weight"][:] = self._in_use / n
        return blocks_for(n)

    def gather(self, images: Pixels, indices: NDArray[np.int64], warps: Warps | None) -> None:
        """Put chosen images into the arena, lanes beyond the last repeating the first."""
        n, n_blocks = len(indices), blocks_for(len(indices))
        pixels, places = images.batch(indices)
        self._indices[:n], self._indices[n : n_blocks * LANES] = places, places[0]
        start = self._start + 4 * self.planned.images.start
        scale, offset = self._pixel_scale.ctypes.data, self._pixel_offset.ctypes.data
        if warps is None:
            self._plain(pixels.ctypes.data, self._indices.ctypes.data, scale, offset, start, n_blocks)
            return
        assert self._warp is not None
        lanes = lanes_of(warps)
        self._warp(pixels.ctypes.data, self._indices.ctypes.data, lanes.ctypes.data, scale, offset, start, n_blocks)

    def tally(self) -> tuple[float, int]:
        sum_exp, rest, hit = np.concatenate([np.empty((3, 0), np.float32), *self._answers], axis=1)
        return float((np.log(sum_exp) + rest).sum(dtype=np.float64)), int(np.count_nonzero(hit))

    def logits(self, part: Labelled) -> NDArray[np.float32]:
        pixels = self.engine.pixels(part, at_once=self.n_blocks * LANES)
        parts = np.array_split(np.arange(len(part)), range(self.n_blocks * LANES, len(part), self.n_blocks * LANES))
        logits: NDArray[np.float32] = np.concatenate([self._evaluated(pixels, indices, None) for indices in parts])
        return logits

    def answers(self, indices: NDArray[np.int64], warps: Warps | None) -> NDArray[np.float32]:
        return self._evaluated(self.images, indices, warps)

    def _evaluated(self, images: Pixels, indices: NDArray[np.int64], warps: Warps | None) -> NDArray[np.float32]:
        """Logits (n, n_classes) of chosen images, at most a batch of them."""
        n, n_classes = len(indices), self.network.image.n_classes
        self.gather(images, indices, warps)
        self._in_use[:], self._n_images = 1, -1
        self._evaluate(self._start, blocks_for(n), n)
        by_block = self._view(self.planned.logits).reshape(self.n_blocks, n_classes, LANES)
        return by_block.transpose(0, 2, 1).reshape(-1, n_classes)[:n].copy()

    def statistics(self) -> dict[str, NDArray[np.float32]]:
        return {name: array.copy() for name, array in self.running.items()}

    def set_statistics(self, statistics: Mapping[str, NDArray[np.float32]]) -> None:
        for name, array in self.running.items():
            array[:] = statistics[name]

    def to_array(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.array(numbers, np.float32)

    def to_numpy(self, array: Any) -> NDArray[np.float32]:
        return np.array(array, np.float32)


def plan(network: Network, recipe: Recipe, *, n_train: int, target: Target) -> PlannedNetwork:
    """The plan of a recipe's training on ``n_train`` images. Raises EngineError if it does not fit into memory."""
    largest = min(recipe.batch_size, n_train)
    ragged = any(size % LANES for size in (largest, n_train % recipe.batch_size))
    empty = Plan(n_blocks=blocks_for(largest), target=target, ragged=ragged)
    smoothing, targets = recipe.loss.label_smoothing, recipe.distill is not None
    planned = plan_network(network, empty, dropout=recipe.dropout, label_smoothing=smoothing, targets=targets)
    n_bytes, memory = 4 * planned.plan.n_floats, memory_bytes()
    if memory is not None and n_bytes > MOST_OF_MEMORY * memory:
        raise EngineError(
            f"batches of {largest:,} images need {n_bytes / 1e9:.1f} GB on this network, of the {memory / 1e9:.1f} GB"
            " here, and each process as much: choose a smaller batch_size"
        )
    return planned


def kernels_for(planned: PlannedNetwork, recipe: Recipe, target: Target) -> list[Kernel]:
    """The kernels of a plan, and of the gathering of its batches."""
    image = planned.image
    channels, size, width = image.channels, image.size, target.width
    kernels = [gathered("gathered", channels=channels, size=size, width=width)]
    if recipe.augment != Augment():
        bent, cut = recipe.augment.elastic_px > 0, recipe.augment.cutout_px > 0
        kernels.append(warped("warped", channels=channels, size=size, width=width, bent=bent, cut=cut))
    return [*kernels, *planned.plan.kernels.values(), *planned.plan.sequences()]
