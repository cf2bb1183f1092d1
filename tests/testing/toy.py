"""What an outsider might write, in a package of their own: an engine in plain numpy, two sources of images, a tracker.

The engine has no code for half of the vocabulary. Tests install this file where no Stepladder is (see test_outsider).
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.datasets import sources
from stepladder.datasets.data import Splits
from stepladder.datasets.image_set import Labelled
from stepladder.engines.lacks import lacking
from stepladder.errors import DataError, EngineError
from stepladder.networks.geometry import LayerGeometry, Network
from stepladder.networks.ops import (
    AvgPool,
    BatchNorm,
    Conv,
    Depthwise,
    Dropout,
    LeakyRelu,
    Linear,
    Residual,
    SqueezeExcite,
)
from stepladder.networks.ops.windows import columns
from stepladder.networks.reference import arrays_of, normalised
from stepladder.recipes.augment import Warps, warp
from stepladder.recipes.recipe import Recipe
from stepladder.runs.run import EngineIdentity
from stepladder.tracking.told import TrackedRun

UNSUPPORTED = frozenset([AvgPool, BatchNorm, Depthwise, LeakyRelu, Residual, SqueezeExcite])
Values = NDArray[np.floating[Any]]


class ToyEngine:
    """Plain numpy, one operation after another."""

    def __init__(self, device: str = "auto") -> None:
        if device == "cuda":
            raise EngineError("the toy engine knows no GPUs: use --device cpu")

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(name="toy", version="1.0", device="cpu", revision=1)

    @property
    def versions(self) -> dict[str, str]:
        return {"toy": "1.0"}

    @property
    def notes(self) -> list[str]:
        return []

    def without_cache(self) -> "ToyEngine":
        return self

    def has_sound_code(self) -> bool:
        return True

    def lacks(self, network: Network) -> list[str]:
        return lacking(network, UNSUPPORTED)

    def model(self, network: Network, recipe: Recipe, *, splits: Splits) -> "ToyModel":
        return ToyModel(network, recipe, splits)


class Unfinished:
    """No engine yet: it says who it is, and that is all."""

    def __init__(self, device: str) -> None:
        self.identity = ToyEngine(device).identity


class ToyModel:
    """See stepladder.engines.Model."""

    def __init__(self, network: Network, recipe: Recipe, splits: Splits) -> None:
        self.network, self.recipe, self.splits = network, recipe, splits
        self.parameters = np.zeros(network.params, np.float32)
        self.gradients = np.zeros(network.params, np.float32)

    def begin_epoch(self, *, dropout_seed: int) -> None:
        self.random = np.random.default_rng(dropout_seed)
        self.loss_sum, self.n_correct = 0.0, 0

    def learn(
        self,
        indices: NDArray[np.int64],
        warps: Warps | None,
        targets: NDArray[np.float32] | None = None,
        *,
        counted: bool = True,
    ) -> None:
        labels = self.splits.train.labels[indices]
        if targets is None:
            smoothing, n_classes = self.recipe.loss.label_smoothing, self.network.image.n_classes
            targets = (np.eye(n_classes)[labels] * (1 - smoothing) + smoothing / n_classes).astype(np.float32)
        layers = self._forward(self._images(indices, warps), training=True)
        logits = layers[-1][-1][0][:, :, 0, 0]
        shifted = logits - logits.max(1, keepdims=True)
        powers = np.exp(shifted)
        losses = -(targets * (shifted - np.log(powers.sum(1, keepdims=True)))).sum(1)
        self._backward(layers, ((powers / powers.sum(1, keepdims=True) - targets) / len(labels))[:, :, None, None])
        if counted:
            self.loss_sum += float(losses.sum(dtype=np.float64))
            self.n_correct += int((logits.argmax(1) == labels).sum())

    def _images(self, indices: NDArray[np.int64], warps: Warps | None) -> Values:
        pixels = self.splits.train.take(indices)
        return self._normalised(pixels if warps is None else warp(pixels, warps))

    def _normalised(self, pixels: NDArray[Any]) -> Values:
        return normalised(pixels, pixel_mean=self.splits.pixel_mean, pixel_std=self.splits.pixel_std)

    def _weights(self) -> dict[str, Values]:
        shapes = self.network.parameter_shapes
        return {name: self.parameters[part].reshape(shapes[name]) for name, part in self._slices.items()}

    @property
    def _slices(self) -> dict[str, slice]:
        return self.network.parameter_slices

    def _forward(self, x: Values, *, training: bool) -> list[list[tuple[Values, Values | None]]]:
        """By layer: what it takes in, what its operation gives, and what each step gives with what it kept of it."""
        weights, layers = self._weights(), []
        for row in self.network.rows:
            values: list[tuple[Values, Values | None]] = [(x, None)]
            values.append((row.layer.forward(x, arrays_of(row.index, weights), row.window), None))
            for step in row.steps:
                given, kept = step.forward(values[-1][0], {}), None
                if isinstance(step, Dropout) and training and self.recipe.dropout:
                    share = 1 - self.recipe.dropout
                    kept = ((self.random.random(given.shape) < share) / share).astype(np.float32)
                    given = given * kept
                values.append((given, kept))
            layers.append(values)
            x = values[-1][0]
        return layers

    def _backward(self, layers: list[list[tuple[Values, Values | None]]], gradient: Values) -> None:
        weights = self._weights()
        for row, values in zip(reversed(self.network.rows), reversed(layers), strict=True):
            for step, (output, kept) in zip(reversed(row.steps), reversed(values), strict=False):
                gradient = gradient * kept if kept is not None else step.backward(gradient, output, {})
            for name, array in by_arrays(row, values[0][0], gradient).items():
                self.gradients[self._slices[f"{row.index}.{name}"]] = array.ravel()
            gradient = row.layer.backward(gradient, values[0][0], arrays_of(row.index, weights), row.window)

    def answers(self, indices: NDArray[np.int64], warps: Warps | None) -> NDArray[np.float32]:
        return self._evaluated(self._images(indices, warps))

    def logits(self, part: Labelled) -> NDArray[np.float32]:
        return np.concatenate([self._evaluated(self._normalised(chunk)) for chunk in part.chunks()])

    def _evaluated(self, x: Values) -> NDArray[np.float32]:
        return self._forward(x, training=False)[-1][-1][0][:, :, 0, 0].astype(np.float32)

    def tally(self) -> tuple[float, int]:
        return self.loss_sum, self.n_correct

    def statistics(self) -> Mapping[str, NDArray[np.float32]]:
        return {}

    def set_statistics(self, statistics: Mapping[str, NDArray[np.float32]]) -> None:
        assert not statistics

    def to_array(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.array(numbers, np.float32)

    def to_numpy(self, array: Any) -> NDArray[np.float32]:
        return np.array(array, np.float32)


def by_arrays(row: LayerGeometry, x: Values, gradient: Values) -> dict[str, Values]:
    """The gradient by a layer's own arrays."""
    if not isinstance(row.layer, Conv | Linear):
        return {}
    flat = gradient.reshape(*gradient.shape[:2], -1)
    taps = columns(x, row.window).reshape(len(x), -1, flat.shape[2]) if isinstance(row.layer, Conv) else None
    inputs = x.reshape(len(x), -1, 1) if taps is None else taps
    weight = np.einsum("nop,nip->oi", flat, inputs)
    return {"weight": weight} | ({"bias": flat.sum((0, 2))} if row.layer.bias else {})


def stripes(n_classes: int, n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 1, 8, 8), each with a bright row where its class is, and their labels."""
    images, labels = np.random.default_rng(1).integers(0, 100, (n, 1, 8, 8)), np.arange(n) % n_classes
    images[np.arange(n), 0, labels % 8] = 255
    return images.astype(np.uint8), labels


def arrays_with(n_classes: int) -> dict[str, NDArray[Any]]:
    images, labels = stripes(n_classes, 90)
    return dict(zip(sources.PARTS, (images[:60], labels[:60], images[60:], labels[60:]), strict=True))


class Stripes:
    """``data = "stripes:4"``: as many classes as the number says."""

    def name(self, at: str) -> str:
        return f"stripes-{at}"

    def stamp(self, at: str) -> int:
        if not at.isdigit() or not 2 <= int(at) <= 8:
            raise DataError(f"stripes of {at!r} classes: say how many, from 2 to 8, as in stripes:4")
        return int(at)

    def read(self, at: str) -> Mapping[str, NDArray[Any]]:
        return arrays_with(self.stamp(at))


class Given:
    """A source that gives what it should not."""

    def name(self, at: str) -> str:
        return "\x1b[31m" if at == "a colour" else at

    def stamp(self, at: str) -> object:
        return ([at],) if at == "a stamp" else at

    def read(self, at: str) -> Any:
        return GIVEN[at]()


def without_arguments(_: str) -> None:
    """No source: it wants one."""


GIVEN: dict[str, Any] = {
    "nothing": lambda: None,
    "a list": lambda: list(arrays_with(4).values()),
    "lists": lambda: {name: array.tolist() for name, array in arrays_with(4).items()},
    "numbered": lambda: dict(enumerate(arrays_with(4).values())),
    "an end": lambda: sys.exit(0),
}


class StripesFile:
    """A file whose name ends in ``.stripes``, and which holds a number of classes."""

    def name(self, at: str) -> str:
        return Path(at).stem

    def stamp(self, at: str) -> object:
        return sources.stamp([Path(at)])

    def read(self, at: str) -> Mapping[str, NDArray[Any]]:
        text = Path(at).read_text()
        if text == "bug":
            raise KeyError(text)
        if text == "flat":
            return {name: array.reshape(len(array), -1) for name, array in arrays_with(4).items()}
        return arrays_with(int(text))


class Lines:
    """A tracker: a file of JSON for each run, by its project and id."""

    def __init__(self, log_dir: str | None) -> None:
        self.folder = Path(log_dir or "lines")
        self.where = f"{self.folder.absolute()}: read it"

    def tell(self, run: TrackedRun) -> bool:
        path = self.folder / f"{run.project.encode().hex()}-{run.id}.json"
        kept = json.loads(path.read_text()) if path.exists() else {"is_over": False}
        if kept["is_over"] and not run.is_over:
            return False
        new = {"is_over": run.is_over, "group": run.group, "params": {k: str(v) for k, v in run.params.items()}}
        new["points"] = [[each.epoch, each.at_s, dict(each.metrics)] for each in run.points]
        self.folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(new))
        return bool(new != kept)

    def close(self) -> None:
        pass


class HalfATracker:
    """It forgot to tell."""

    where = "nowhere"

    def __init__(self, log_dir: str | None) -> None:
        pass
