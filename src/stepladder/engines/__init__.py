"""Engines train networks. This is what one must offer, and how one is chosen; importing it imports none of them."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stepladder._base.machine import limit_in_words
from stepladder._base.wording import did_you_mean, how_to_install, shown
from stepladder.datasets.data import Labelled, Splits
from stepladder.errors import EngineError
from stepladder.networks.geometry import Network
from stepladder.recipes.augment import Warps
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import DEVICES, ENGINES, EngineIdentity


class Model(Protocol):
    """A network in training.

    ``parameters`` and ``gradients`` are flat arrays (n_params,) float32 on the engine's device, all trainable numbers
    in the order of ``Network.parameter_shapes``; in-place arithmetic on ``parameters`` changes the network.
    """

    parameters: Any
    gradients: Any

    def begin_epoch(self, *, dropout_seed: int) -> None:
        """Zero the tally and seed the dropout of the epoch."""

    def learn(
        self,
        indices: NDArray[np.int64],
        warps: Warps | None,
        targets: NDArray[np.float32] | None = None,
        *,
        counted: bool = True,
    ) -> None:
        """Forward and backward on training images ``indices`` (n,), warped by those n ``warps`` if given.

        ``targets`` (n, n_classes) are probabilities to learn instead of the labels: of a recipe that distils, always.
        Sets ``gradients`` to those of the mean loss, moves the running statistics and, if it is ``counted``, adds to
        the tally.
        """

    def answers(self, indices: NDArray[np.int64], warps: Warps | None) -> NDArray[np.float32]:
        """The evaluated network's logits (n, n_classes) of training images, given as to ``learn``."""

    def tally(self) -> tuple[float, int]:
        """Sum of the losses and number of correct answers since ``begin_epoch``."""

    def logits(self, part: Labelled) -> NDArray[np.float32]:
        """The evaluated network's answers to images: (n, n_classes)."""

    def statistics(self) -> Mapping[str, NDArray[np.float32]]:
        """A copy of batch norm's running statistics, by the names of ``Network.statistic_shapes``."""

    def set_statistics(self, statistics: Mapping[str, NDArray[np.float32]]) -> None: ...

    def to_array(self, numbers: NDArray[np.float32]) -> Any:
        """A flat array on the engine's device, such as ``parameters`` is."""

    def to_numpy(self, array: Any) -> NDArray[np.float32]:
        """A copy of such an array."""


class Engine(Protocol):
    """Something that trains."""

    @property
    def identity(self) -> EngineIdentity: ...

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the libraries that do the computing, and what else decides its bits (see conditions)."""

    @property
    def notes(self) -> list[str]:
        """What a person should know of how it works here, a sentence each."""

    def without_cache(self) -> "Engine":
        """The same, but all code is compiled anew, and put in the place of what is kept of it."""

    def has_sound_code(self) -> bool:
        """Whether the code of the models in use is what compiling gives, as far as it was not compiled here."""

    def model(self, network: Network, recipe: Recipe, *, splits: Splits) -> Model: ...


def choose_engine(wanted: str = "auto", *, device: str = "auto") -> tuple[Engine, str]:
    """An engine, and the reason for it.

    ``wanted`` is "auto" or an engine's name; ``device`` is "auto", "cpu" or "cuda". Raises EngineError with what to
    install or ask for if there is none.
    """
    if wanted not in ("auto", *ENGINES):
        raise EngineError(f"no engine {shown(wanted)}{did_you_mean(wanted, ('auto', *ENGINES), place='engine')}")
    if device not in DEVICES:
        raise EngineError(f"no device {shown(device)}{did_you_mean(device, DEVICES, place='device')}")
    if wanted == "torch":
        return _described(_torch(device), "asked for")
    if device == "cuda":
        if wanted == "jit":
            raise EngineError("the jit engine has no code for GPUs: use --engine torch, or --device cpu")
        return _described(_torch(device), "jit, the default, has no code for GPUs")
    try:
        from stepladder.engines.jit.engine import JitEngine

        jit = JitEngine()
    except (ImportError, OSError, RuntimeError) as error:  # llvmlite is not there, or does not know this CPU
        problem = f"the jit engine needs llvmlite, which does not load here ({error}{limit_in_words()})"
        if wanted == "jit":
            raise EngineError(f"{problem}: pip install llvmlite, or use --engine torch") from None
        try:
            return _described(_torch(device), problem)
        except EngineError as also:
            raise EngineError(f"{problem}; {also}") from None
    return _described(jit, "asked for" if wanted == "jit" else "the default")


def _torch(device: str) -> Engine:
    try:
        from stepladder.engines.torch.engine import TorchEngine
    except (ImportError, OSError, RuntimeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            raise EngineError(f"the torch engine needs PyTorch: {how_to_install('torch')}") from None
        raise EngineError(
            f"the torch engine needs PyTorch, which does not load here ({error}{limit_in_words()}): install it again"
        ) from None
    return TorchEngine(device)


def _described(engine: Engine, reason: str) -> tuple[Engine, str]:
    return engine, f"{engine.identity}: {reason}"
