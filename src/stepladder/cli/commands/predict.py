"""``stepladder predict``: the class that a trained network predicts for pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from stepladder._base.wording import n_of
from stepladder.cli import ending
from stepladder.cli.options import JSON, LARGEST_SEED, STORE
from stepladder.cli.printing import echo_notes, print_json, print_page
from stepladder.cli.usage import Command
from stepladder.errors import DataError, LadderError

INVERTED = "light and dark may be the other way around in the training images: --invert turns them"


@click.command(cls=Command, short_help="Predict the class of pictures with a trained network.")
@click.argument("model")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--rung", help="With a ladder: the rung whose network predicts [default: the top rung].")
@click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    help="With a ladder: the seed whose network predicts [default: the one of median accuracy].",
)
@click.option("--engine", help="With a ladder: take a run of this engine, such as 'jit' or 'torch cuda'.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Show this many of the most probable classes.",
)
@click.option(
    "--resize", is_flag=True, help="Resize pictures to the network's size; otherwise other sizes are refused."
)
@click.option("--invert", is_flag=True, help="Invert light and dark, as for ink on paper with a network of MNIST.")
@STORE
@JSON
def predict(
    model: str,
    images: tuple[str, ...],
    rung: str | None,
    seed: int | None,
    engine: str | None,
    top: int,
    resize: bool,
    invert: bool,
    store: str,
    as_json: bool,
) -> None:
    """Predict the class of each IMAGE, and say how probable the network finds it.

    MODEL is a file: the weights of a run (.safetensors, in a store), or what model.save wrote in Python; or it is a
    ladder whose runs are stored. IMAGE is a PNG, JPEG, BMP, GIF, TIFF, WebP or PPM file that shows its subject the way
    the training images do. Where some cannot be used, the others are predicted, and the exit code is 4.
    """
    from stepladder.reporting.pages.predict_page import answers, predict_dict, predict_page

    network = _model(model, rung=rung, seed=seed, engine=engine, store=store)
    pictures, problems = _pictures(images, network, resize=resize, invert=invert)
    found = answers(network, pictures, top=top)
    for note in _notes(pictures, [] if invert else network.pixel_mean):
        ending.say(f"note: {note}")
    if as_json:
        print_json(predict_dict(network, found, problems))
    elif found:
        print_page(predict_page(network, found))
    for problem in problems:
        ending.say(problem)
    if problems:
        raise DataError(f"{len(problems):,} of {n_of(len(images), 'picture')} cannot be used: see above")


def _model(name: str, *, rung: str | None, seed: int | None, engine: str | None, store: str) -> Any:
    """A model from its file, or of a ladder's stored runs."""
    from stepladder.ladders import ladder_file

    if name not in ladder_file.shipped() and (name.endswith(".safetensors") or _is_other_file(name)):
        from stepladder.runs.model import load_model

        if given := [
            f"--{each}" for each, value in (("rung", rung), ("seed", seed), ("engine", engine)) if value is not None
        ]:
            raise LadderError(f"{name} is the file of one network: leave {' and '.join(given)} out, or name a ladder")
        _require_no_picture(name)
        return load_model(name)
    from stepladder.runs.results import collect
    from stepladder.runs.store import Store

    ladder, opened = ladder_file.load(name), Store.open(store)
    wanted = ladder.rung(rung) if rung is not None else ladder.rungs[-1]
    results = collect(ladder, opened, engine=engine)
    echo_notes(opened)
    result = results.rungs[ladder.rungs.index(wanted)]
    return result.typical_model() if seed is None else result.model(seed)


def _require_no_picture(name: str) -> None:
    """Raise LadderError for a picture where the model belongs."""
    from stepladder.datasets.reading.odd_files import what_is

    if not _is_other_file(name):
        return
    with Path(name).open("rb") as file:
        what = what_is(file.read(512)) or ""
    if what.endswith("picture"):
        example = ending.command_line(["predict", "mine.toml", name])
        raise LadderError(f"{name} is {what}: name the model first, then the pictures, as in {example}")


def _is_other_file(name: str) -> bool:
    return not name.endswith(".toml") and Path(name).is_file()


def _pictures(
    images: Sequence[str], model: Any, *, resize: bool, invert: bool
) -> tuple[list[tuple[str, Any]], list[str]]:
    """Each picture that can be used, with its file's name, and what is wrong with the others."""
    from stepladder.datasets.reading.pictures import read_picture

    found, problems = [], []
    how = {"channels": model.image.channels, "size": model.image.size, "resize": resize, "invert": invert}
    for file in images:
        try:
            found.append((file, read_picture(Path(file), **how)))
        except DataError as error:
            problems.append(str(error))
    return found, problems


def _notes(pictures: Sequence[tuple[str, Any]], pixel_mean: Any) -> list[str]:
    """What was done to pictures, and what may have been forgotten: each once, however many pictures it is true of."""
    files: dict[str, list[str]] = {}
    for file, picture in pictures:
        for note in picture.notes:
            files.setdefault(note, []).append(file)
        if len(pixel_mean) == 1 and picture.may_be_inverted(pixel_mean):
            files.setdefault(INVERTED, []).append(file)
    return [f"{_some(names)}: {note}" for note, names in files.items()]


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{n_of(len(names), 'picture')}, such as {names[0]}"
