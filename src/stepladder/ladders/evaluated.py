"""Which images a ladder's runs are trained and evaluated on, and what is kept of that with each run."""

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from stepladder._base.frozen import Frozen
from stepladder.datasets.data import Splits, describe, fingerprint, load, require_sha256, split_rule, splits
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.split_rules import SplitRule
from stepladder.errors import DataError
from stepladder.ladders.ladder import Plan, Split


class DataIdentity(Frozen):
    """Which images were trained and evaluated on. ``dev_images`` is 0 when evaluated on test.

    Dev is chosen as ``split`` says (see split_rules): the last of the training images, or the ``dev_part``-th part of
    their size before those; a number of each class; or the set's own validation part, with its own SHA-256. Without
    ``class_names``, classes are called by their numbers.
    """

    name: str
    sha256: str
    evaluate_on: Split
    dev_images: int
    dev_part: int = Field(0, ge=0)
    split: SplitRule = "last"
    validation_sha256: str | None = None
    class_names: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _as_stored(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without names where there are none: as it always was."""
        found: dict[str, Any] = write(self)
        return found if self.class_names else {name: found[name] for name in found if name != "class_names"}

    def essence(self) -> dict[str, Any]:
        """What decides a number: not the names. What is as it always was before it could differ is left out."""
        before = {"dev_part": 0, "split": "last", "validation_sha256": None}
        essence = self.model_dump(exclude={"name", "class_names"})
        return {name: value for name, value in essence.items() if name not in before or value != before[name]}


def data_identity(ladder: Plan) -> DataIdentity:
    """Which images a ladder's runs are about. Raises DataError, also when they are not those the ladder pins."""
    info = describe(ladder.data)
    require_sha256(ladder.data, ladder.data_sha256)
    identity = DataIdentity(
        name=info.name,
        sha256=fingerprint(ladder.data),
        evaluate_on=ladder.evaluate_on,
        dev_images=0,
        class_names=info.class_names,
    )
    if ladder.evaluate_on == "test":
        return identity
    if ladder.uses_own_validation(info):
        own = {"dev_images": info.n_validation, "split": "given"}
        return identity.model_copy(update=own | {"validation_sha256": load(ladder.data).validation_sha256})
    return with_dev_part(identity.model_copy(update={"dev_images": ladder.n_dev(info.n_train)}), ladder.data, part=0)


def with_dev_part(identity: DataIdentity, source: str, *, part: int) -> DataIdentity:
    """The same images with another part of the training images held out, by the rule that fits it."""
    rule = split_rule(source, n_dev=identity.dev_images, dev_part=part)
    return identity.model_copy(update={"dev_part": part, "split": rule})


def splits_for(images: ImageSet, identity: DataIdentity) -> Splits:
    """What is trained and evaluated on. Raises DataError if the set's own validation images are not those meant."""
    if identity.split == "given" and images.validation_sha256 != identity.validation_sha256:
        raise DataError(f"{images.name}: its own validation images are not those that the run was evaluated on")
    return splits(images, n_dev=identity.dev_images, dev_part=identity.dev_part, rule=identity.split)
