"""Model: a trained network with all that it takes to use it. No images, no engine, no store.

It is kept in the file of each run's weights (weight_files), and ``Model.save`` writes a file of the same form: arrays
by name, and what _About holds. What a run's file says follows from the run's identity and its images alone, so that the
same run is the same bytes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, partial
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

from stepladder._base.files import read_regular, reason, write_atomically
from stepladder._base.frozen import Frozen
from stepladder._base.given import A_PATH, require
from stepladder._base.wording import clipped, n_of, shown
from stepladder.datasets import data as data_sets
from stepladder.datasets.image_set import numbered
from stepladder.datasets.reading.odd_files import what_is
from stepladder.datasets.sources import MNIST, MNIST_SHA256
from stepladder.errors import DataError, LadderError, ModelError
from stepladder.ladders.evaluated import DataIdentity, splits_for
from stepladder.networks.geometry import ImageShape, Network
from stepladder.networks.reference import normalised, trace
from stepladder.networks.sides import Sides, area, plain
from stepladder.recipes.recipe import NetworkLayers, TextBlock, describe_network
from stepladder.runs.arrays import misfit
from stepladder.runs.run import Arrays, EngineIdentity, Run, RunIdentity
from stepladder.runs.weight_files import (
    MOST_WEIGHTS_BYTES,
    WRONG,
    About,
    WeightsFile,
    arrays_of,
    arrays_sha256,
    examined,
    weights_file,
)

MOST_SIDE = 10**6  # pixels: no image has more
MOST_PIXELS = 50_000_000  # of all channels: nobody has a larger picture to predict
LEAST_STD = 1e-7  # of pixels from 0 to 1; that of a data set is 1e-6 at the least (datasets.data)
AT_ONCE = 2**22  # numbers of the largest layer's windows that a pass looks at


class ModelOrigin(Frozen):
    """Where a model comes from: the run that trained it.

    ``ladder`` and ``rungs`` are their names, as far as the model was made by way of a ladder. ``n_correct`` of
    ``n_evaluated`` images are right after the last epoch, as the run's record says; a run's file of weights tells
    neither.
    """

    identity: RunIdentity
    ladder: str | None = None
    rungs: tuple[str, ...] = ()
    n_correct: int | None = Field(None, ge=0)
    n_evaluated: int | None = Field(None, ge=1)

    @property
    def key(self) -> str:
        """The path of the run's files in a store, without their ending."""
        return self.identity.key

    @property
    def seed(self) -> int:
        return self.identity.seed

    @property
    def engine(self) -> EngineIdentity:
        return self.identity.engine

    @property
    def data(self) -> DataIdentity:
        """The images that it was trained on, with their fingerprint."""
        return self.identity.data

    @property
    def accuracy(self) -> Fraction | None:
        """Of the last epoch, in percent, on the split that ``data.evaluate_on`` names."""
        if self.n_correct is None or self.n_evaluated is None:
            return None
        return Fraction(100 * self.n_correct, self.n_evaluated)

    def __str__(self) -> str:
        """``seed 3 of 'rotation' on mnist-8k``; without a ladder, of the images."""
        rungs = " or ".join(map(repr, self.rungs))
        of = f" of {rungs} on {self.ladder}" if rungs and self.ladder else f" on {self.data.name}"
        return f"seed {self.seed}{of}"


Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]


def _one_or_two(value: Any, side: ValidatorFunctionWrapHandler) -> Any:
    """Whether a size is a number or two of them, each is held to what a side may be."""
    return plain(tuple(map(side, value)) if isinstance(value, list | tuple) and len(value) == 2 else side(value))


if TYPE_CHECKING:
    Size = Sides
else:
    Size = Annotated[Side, WrapValidator(_one_or_two), PlainSerializer(lambda size: size)]


class _About(Frozen):
    """What a file of weights says besides them: ``key`` is that of the run that trained it, if one did."""

    weights_sha256: str
    key: str | None
    network: NetworkLayers
    block: TextBlock
    norm_scale: bool
    channels: Side
    size: Size
    class_names: tuple[str, ...]
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]
    origin: ModelOrigin | None


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained network by itself.

    ``weights`` are parameters and batch norm's statistics by name, float32; ``pixel_mean`` and ``pixel_std`` (C,)
    float64 are those of the images trained on, on a scale of 0 to 1; a label is a place in ``class_names``. Arrays are
    copied, and cannot be written to. Raises ModelError for what does not fit together.
    """

    network: Network
    weights: Mapping[str, NDArray[np.float32]]
    pixel_mean: NDArray[np.float64]
    pixel_std: NDArray[np.float64]
    class_names: tuple[str, ...]
    origin: ModelOrigin | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        own = {name: _frozen(array) for name, array in self.weights.items()}
        object.__setattr__(self, "weights", MappingProxyType(own))
        for name in ("pixel_mean", "pixel_std"):
            object.__setattr__(self, name, _frozen(np.asarray(getattr(self, name), np.float64)))
        object.__setattr__(self, "class_names", tuple(self.class_names))
        for problem in _problems(self):
            raise ModelError(f"no network can be used with that: {problem}")

    @property
    def image(self) -> ImageShape:
        """The images that it takes."""
        return self.network.image

    @cached_property
    def weights_sha256(self) -> str:
        """The hash of its weights: equal for two models that answer alike, bit for bit, with equal networks."""
        return arrays_sha256(dict(self.weights))

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """What the network gives each class of each image, before the softmax: (N, n_classes).

        ``images`` are bytes from 0 to 255: (N, C, H, W) as a data set's are, (N, H, W, C), or (N, H, W) of one channel.
        Computed in float64 by the plain reference, so that no rounding decides. Raises DataError for images of another
        shape or type, ModelError where numbers grow out of all bounds.
        """
        x = self._in_form(images)
        largest = max(row.in_channels * area(row.kernel) * area(row.out_size) for row in self.network.rows)
        n_at_once = max(1, AT_ONCE // largest)
        parts = [self._forward(x[start : start + n_at_once]) for start in range(0, len(x), n_at_once)]
        found = np.concatenate([np.empty((0, self.image.n_classes)), *parts])
        if not np.isfinite(found).all():
            raise ModelError("this network gives what is no number for these images: train it anew, or get it again")
        return found

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """How probable each class of each image is, as the network has it: (N, n_classes), each row of sum 1.

        Images are those of ``logits``.
        """
        logits = self.logits(images)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
        return shares

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The most probable class of each image, as a label (N,): a place in ``class_names``. Images as ``logits``'."""
        labels: NDArray[np.int64] = self.logits(images).argmax(1)
        return labels

    def save(self, path: str | Path) -> None:
        """Write it to a file, in place of what is there; ``load_model`` reads it. Raises ModelError."""
        content = weights_file(dict(self.weights), _about(self))
        try:
            write_atomically(Path(path), content)
        except (OSError, ValueError, TypeError) as error:  # a NUL in a name
            why = getattr(error, "strerror", None) or error
            raise ModelError(f"{clipped(str(path))}: this model cannot be written there: {why}") from None

    def _in_form(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images as (N, C, H, W)."""
        array, channels, height, width = np.asarray(images), self.image.channels, self.image.height, self.image.width
        forms = {(height, width, channels): (0, 3, 1, 2), (channels, height, width): (0, 1, 2, 3)}  # if both, the last
        if array.dtype.kind in "OUS":
            raise DataError(
                f"{shown(images)} is no array of images: a model takes one of bytes, such as"
                " sl.dataset(\"mnist\").test.images; for a picture's file there is 'stepladder predict'"
            )
        if array.dtype != np.uint8:
            raise DataError(
                f"images of {array.dtype}: a model takes bytes from 0 to 255, as in x.round().astype(np.uint8); numbers"
                " from 0 to 1 are to be multiplied by 255 before"
            )
        if array.ndim == 3 and channels == 1:
            array = array[:, None]
        if array.ndim != 4 or array.shape[1:] not in forms:
            grey = f", or (N, {height}, {width})" if channels == 1 else ""
            raise DataError(
                f"images of shape {np.shape(images)}: this model takes (N, {channels}, {height}, {width}), or (N,"
                f" {height}, {width}, {channels}){grey}; a single image is x[None]"
            )
        return array.transpose(forms[array.shape[1:]])

    def _forward(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        with np.errstate(all="ignore"):  # what is no number is seen in the end
            x = normalised(images, pixel_mean=self.pixel_mean, pixel_std=self.pixel_std, dtype=np.float64)
            return np.asarray(trace(self.network, self.weights, x=x).logits, np.float64)

    def __reduce__(self) -> tuple[Any, ...]:
        """For a process that it is sent to: its weights are read-only there too."""
        parts = (self.network, dict(self.weights), self.pixel_mean, self.pixel_std, self.class_names)
        return partial(Model, origin=self.origin), parts

    def __repr__(self) -> str:
        return f"Model({self._words()}{f', {self.origin}' if self.origin else ''})"

    def _repr_html_(self) -> str:
        rows = [("network", describe_network(self.network.layers)), ("", self._words())]
        if self.origin:
            rows.append(("trained", f"{self.origin}, by {self.origin.engine}"))
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
        return f"<table>{cells}</table>"

    def _words(self) -> str:
        image = self.image
        return f"{n_of(self.network.params, 'parameter')}, {image.in_words} pixels to {image.n_classes} classes"


def about_run(identity: RunIdentity, splits: data_sets.Splits) -> About:
    """What the file of a run's weights says besides them."""
    recipe, image = identity.recipe, splits.image
    return _stored(
        network=recipe.network_for(image),
        class_names=identity.data.class_names or numbered(image.n_classes),
        pixel_mean=splits.pixel_mean,
        pixel_std=splits.pixel_std,
        origin=ModelOrigin(identity=identity),
    )


def model_of_run(run: Run, content: bytes, *, data: str | None = None) -> Model:
    """The model of a finished run, whose weights' file holds ``content``.

    What earlier versions stored says nothing of the images: ``data`` names them as a ladder does. Raises ModelError for
    a run that diverged, and where the images are not at hand; DataError if they are others.
    """
    if run.final is None:
        raise ModelError(
            f"seed {run.identity.seed} diverged at epoch {run.diverged_at_epoch}, and there is no network to use: take"
            " another seed"
        )
    name = f"{run.identity.key}.safetensors"
    found = examined(content, path=Path(name))
    if found.text:
        model = _model_in(found, arrays_of(content), name=name)
    else:
        model = _model(about_run(run.identity, _splits_of(run.identity, data)), arrays_of(content))
    assert model.origin is not None
    counts = {"n_correct": run.final.n_correct, "n_evaluated": run.final.n_evaluated}
    return replace(model, origin=model.origin.model_copy(update=counts))


def load_model(path: str | Path) -> Model:
    """A model from its file: one that ``Model.save`` wrote, or the weights of a run in a store.

    Raises ModelError that says what is wrong, NewerFormatError for what a newer Stepladder wrote.
    """
    require(A_PATH, path, of="load_model", takes="the path of a model's file", remedy="model.save(path) writes one")
    name = clipped(str(path))
    try:
        content = read_regular(Path(path), most=MOST_WEIGHTS_BYTES)
    except (OSError, ValueError, TypeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ModelError(f"{name}: this model cannot be read: {why}") from None
    try:
        found, arrays = examined(content, path=Path(path)), arrays_of(content)
    except WRONG as error:
        what = what_is(content[:512]) or "no model, or a damaged one"
        raise ModelError(
            f"{name}: {what} ({reason(error)}): a model is a file of Stepladder's, such as the weights of a run in a"
            " store, a .safetensors file"
        ) from None
    if not found.text:
        raise ModelError(
            f"{name}: weights alone, as earlier versions and other programs store them: their file does not say what"
            " network they are of, nor the mean of its pixels. If a climb stored it, name its ladder instead, with its"
            " --rung, --seed and --store; in Python, store.model(run, data=...)"
        )
    return _model_in(found, arrays, name=name)


def _model_in(found: WeightsFile, arrays: Arrays, *, name: str) -> Model:
    """The model that a file of this name says it is. Raises ModelError."""
    try:
        return _model(found.about or {}, arrays)
    except (*WRONG, LadderError, ModelError) as error:
        raise ModelError(f"{name}: no model: {reason(error)}: get it again") from None


def _model(about: About, arrays: Arrays) -> Model:
    """Raises ValidationError, LadderError, and ModelError."""
    found = _About.model_validate_json(json.dumps({"weights_sha256": "", **about}))
    if found.key != (found.origin.key if found.origin else None):
        raise ModelError("it names another run than it comes from")
    image = ImageShape(channels=found.channels, size=found.size, n_classes=len(found.class_names))
    network = Network(found.network, found.block, image, found.norm_scale)
    mean, std = np.array(found.pixel_mean), np.array(found.pixel_std)
    return Model(network, arrays, mean, std, found.class_names, origin=found.origin)


def _about(model: Model) -> About:
    return _stored(
        network=model.network,
        class_names=model.class_names,
        pixel_mean=model.pixel_mean,
        pixel_std=model.pixel_std,
        origin=model.origin,
    )


def _stored(
    *,
    network: Network,
    class_names: Sequence[str],
    pixel_mean: NDArray[np.float64],
    pixel_std: NDArray[np.float64],
    origin: ModelOrigin | None,
) -> About:
    """What a file says of a model; the hash of its weights comes to it when it is written."""
    about = _About(
        weights_sha256="",
        key=origin.key if origin else None,
        network=network.layers,
        block=network.block,
        norm_scale=network.norm_scale,
        channels=network.image.channels,
        size=network.image.size,
        class_names=tuple(class_names),
        pixel_mean=tuple(pixel_mean.tolist()),
        pixel_std=tuple(pixel_std.tolist()),
        origin=origin,
    )
    return about.model_dump(mode="json", exclude={"weights_sha256"})


def _splits_of(identity: RunIdentity, data: str | None) -> data_sets.Splits:
    """The images that a run was trained on."""
    wanted = identity.data
    source = MNIST.name if data is None and wanted.sha256 == MNIST_SHA256 else data
    if source is None:
        raise ModelError(
            f"seed {identity.seed} on {wanted.name} was stored by an earlier version, without the mean of its pixels:"
            " say where its images are, as in data='digits.npz'"
        )
    images = data_sets.load(source)
    if images.sha256 != wanted.sha256:
        raise DataError(
            f"{clipped(source)}: other images than those that the run was trained on: {wanted.name}, SHA-256"
            f" {wanted.sha256}"
        )
    return splits_for(images, wanted)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    own = np.array(array)
    own.setflags(write=False)
    return own


def _problems(model: Model) -> Iterator[str]:
    """Why these parts are no model, the first reason first; none if they are one."""
    image, mean, std = model.image, model.pixel_mean, model.pixel_std
    if problem := misfit(model.network, model.weights):
        yield problem
    if not all(np.isfinite(array).all() for array in model.weights.values()):
        yield "its weights hold what is no number"
    if any(array.min() < 0 for name, array in model.weights.items() if name.endswith("running_var")):
        yield "a variance of its batch norm is negative"
    if (mean.shape, std.shape) != ((image.channels,), (image.channels,)):
        yield "its images have another number of channels than the mean and deviation of their pixels"
    if not (0 <= mean.min() <= mean.max() <= 1 and LEAST_STD <= std.min() <= std.max() <= 1):  # what is no number isn't
        yield "mean or deviation of its pixels is none: pixels are from 0 to 1"
    if image.channels * image.n_pixels > MOST_PIXELS:
        yield f"its images have more than {MOST_PIXELS:,} pixels"
    if len(set(model.class_names)) != len(model.class_names) or len(model.class_names) != image.n_classes:
        yield f"it has {n_of(image.n_classes, 'class', 'classes')}, and not as many different names of them"
    if model.origin is not None and not _has_its_network(model.origin, model.network):
        yield "its network is not that of the run that it is said to come from"


def _has_its_network(origin: ModelOrigin, network: Network) -> bool:
    try:
        return origin.identity.recipe.network_for(network.image) == network
    except LadderError:
        return False
