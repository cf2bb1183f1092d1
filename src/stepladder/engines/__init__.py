"""Engines train networks. This is what one must offer, and how one is chosen; importing it imports none of them.

A package that declares one under ``stepladder.engines`` is found by its name (docs/extending.md).
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from stepladder._base import registry
from stepladder._base.machine import limit_in_words
from stepladder._base.wording import did_you_mean, how_to_install, option, shown
from stepladder.datasets.data import Splits
from stepladder.datasets.image_set import Labelled
from stepladder.errors import EngineError
from stepladder.networks.geometry import Network
from stepladder.recipes.augment import Warps
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import DEVICES, ENGINES, EngineIdentity
from stepladder.runs.soundness import against_engine


class Model(Protocol):
    """A network in training.

    ``parameters`` and ``gradients`` are flat arrays (n_params,) float32 on the engine's device, all trainable numbers
    in the order of ``Network.parameter_shapes``; in-place arithmetic on ``parameters`` changes the network.
    """

    parameters: Any
    gradients: Any

    def begin_epoch(self, *, dropout_seed: int) -> None:
        """Zero the tally and seed the dropout of the epoch. No draw depends on anything before it."""

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
        """Sum of the losses and number of correct answers since ``begin_epoch``. A loss that is no number stays one."""

    def logits(self, part: Labelled) -> NDArray[np.float32]:
        """The evaluated network's answers to images: (n, n_classes)."""

    def statistics(self) -> Mapping[str, NDArray[np.float32]]:
        """A copy of batch norm's running statistics, by the names of ``Network.statistic_shapes``."""

    def set_statistics(self, statistics: Mapping[str, NDArray[np.float32]]) -> None:
        """Go on from these, by the same names."""

    def to_array(self, numbers: NDArray[np.float32]) -> Any:
        """A flat array on the engine's device, such as ``parameters`` is."""

    def to_numpy(self, array: Any) -> NDArray[np.float32]:
        """A copy of such an array."""


class Engine(Protocol):
    """Something that trains. What a name stands for is a function from a device, "auto", "cpu" or "cuda", to one of
    these, which raises EngineError where it cannot compute there, with the remedy.
    """

    @property
    def identity(self) -> EngineIdentity:
        """Its name, the one that it is asked for by (small letters, digits and ``_``), the version of what computes,
        the device, and the revision: 1 and up, to be raised by any change that moves a number of a training."""

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

    def lacks(self, network: Network) -> list[str]:
        """What of a network it cannot compute, such as "layer 3 ('squeeze-excite 4')"; empty if it can train it.

        See ``lacks.lacking``. What it does not name here it computes as ``networks.reference`` does.
        """

    def model(self, network: Network, recipe: Recipe, *, splits: Splits) -> Model:
        """A model to train as a recipe says (its dropout, loss and batch size), on the images of ``splits``.

        Nothing is lacking in the network. Its parameters are not set, the loop does that.
        """


@runtime_checkable
class Together(Engine, Protocol):
    """An engine that can train several seeds of one recipe at once. It need not: others train them one by one.

    A seed's draws are those that it has alone, and so are its numbers, but for float32's rounding.
    """

    def most_together(self, network: Network, recipe: Recipe, *, n_train: int, n_processes: int = 1) -> int:
        """How many seeds, in each of so many processes of this machine; 1 if they are trained one by one.

        ``n_train`` is the number of training images.
        """

    def together(self, n: int) -> Engine:
        """The same engine, whose models train ``n`` seeds at once. Every array has an axis more in front, (n, ...):
        parameters, gradients, statistics, indices, warps and targets that are learned, answers, tallies, and seeds of
        dropout. Indices and warps may be arrays that were sent to the device.
        """

    def to_device(self, array: NDArray[Any]) -> Any:
        """An array as ``learn`` and ``answers`` of such models take it without another copy."""


def choose_engine(wanted: str = "auto", *, device: str = "auto") -> tuple[Engine, str]:
    """An engine, and the reason for it.

    ``wanted`` is an engine's name, or "auto" for one of the built-in ones; ``device`` is "auto", "cpu" or "cuda".
    Raises EngineError with what to install or ask for if there is none.
    """
    if device not in DEVICES:
        raise EngineError(f"no device {shown(device)}{did_you_mean(device, DEVICES, place='device')}")
    if wanted != "auto":
        return _described(_named(wanted, device), "asked for")
    if device == "cuda":
        return _described(_torch(device), "jit, the default, has no code for GPUs")
    try:
        return _described(_jit(device), "the default")
    except _NoJitError as error:
        problem = str(error)
    try:
        return _described(_torch(device), problem)
    except EngineError as also:
        raise EngineError(f"{problem}; {also}") from None


def require_code(engine: Engine, network: Network, *, who: str = "the network") -> None:
    """Raise EngineError if an engine cannot compute a network, with the layers, and an engine that can.

    ``who`` has the network, in words.
    """
    name = engine.identity.name
    try:
        lacks = engine.lacks(network)
    except registry.OUTSIDERS as error:
        if name in ENGINES:
            raise
        raise EngineError(f"{who}: the {name} engine cannot tell what it lacks ({registry.reason(error)})") from error
    if not lacks:
        return
    able = next((other for other in registry.ENGINES.names() if other != name and _has_code(other, network)), None)
    remedy = f"use {option('engine', able)}" if able else "no engine that is installed has: take other layers"
    raise EngineError(f"{who}: the {name} engine has no code for {', '.join(lacks)}: {remedy}")


def _has_code(name: str, network: Network) -> bool:
    try:
        return not _named(name, "auto").lacks(network)
    except EngineError:
        return False


def _named(name: str, device: str) -> Engine:
    if name not in ENGINES:
        return _brought(name, device)
    registry.ENGINES.require_alone(name)
    if name == "torch":
        return _torch(device)
    try:
        return _jit(device)
    except _NoJitError as error:
        raise EngineError(f"{error}: pip install llvmlite, or use {option('engine', 'torch')}") from None


class _NoJitError(EngineError):
    """There is no machine code on this machine."""


def _jit(device: str) -> Engine:
    make: Callable[[str], Engine]
    try:
        make = registry.ENGINES.load("jit")
        return make(device)
    except (ImportError, OSError, RuntimeError) as error:  # llvmlite is not there, or does not know this CPU
        raise _NoJitError(
            f"the jit engine needs llvmlite, which does not load here ({error}{limit_in_words()})"
        ) from None


def _torch(device: str) -> Engine:
    make: Callable[[str], Engine]
    try:
        make = registry.ENGINES.load("torch")
    except (ImportError, OSError, RuntimeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            raise EngineError(f"the torch engine needs PyTorch: {how_to_install('torch')}") from None
        raise EngineError(
            f"the torch engine needs PyTorch, which does not load here ({error}{limit_in_words()}): install it again"
        ) from None
    return make(device)


def _brought(name: str, device: str) -> Engine:
    """An engine of an installed package."""
    known = registry.ENGINES.names()
    if name not in known:
        raise EngineError(f"no engine {shown(name)}{did_you_mean(name, ('auto', *known), place='engine')}")
    make = registry.ENGINES.load(name)
    who = f"the engine {shown(name)} of {registry.ENGINES.brought_by(name)}"
    try:
        engine: Engine = make(device)
        problems = _problems(engine, name)
    except EngineError:
        raise
    except registry.OUTSIDERS as error:  # whatever an outsider's code does
        raise EngineError(f"{who} cannot be made ({registry.reason(error)})") from error
    if problems:
        raise EngineError(f"{who} is none: {problems[0]}; see docs/extending.md")
    return engine


def _problems(engine: Engine, name: str) -> list[str]:
    """Why this is no engine of that name, the first reason first."""
    missing = [f"it has no {each}" for each in vars(Engine) if not each.startswith("_") and not hasattr(engine, each)]
    if missing:
        return missing
    identity = engine.identity
    other = [f"it calls itself {shown(identity.name)}, so that its runs would not find it"] * (identity.name != name)
    return [*other, *against_engine(identity)]


def _described(engine: Engine, reason: str) -> tuple[Engine, str]:
    return engine, f"{engine.identity}: {reason}"
