"""Options that commands share, and what is read from their words: seeds, times."""

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from stepladder._base.wording import LONGEST_QUOTE, cut, shown
from stepladder.cli.usage import Choice
from stepladder.errors import LadderError

MOST_SEEDS = 10_000
LARGEST_SEED = 10**9 - 1  # of those that a command takes


class Seeds(click.ParamType[Sequence[int]]):
    """``8`` for seeds 1 to 8, ``101-200`` for exactly those."""

    name = "N or FIRST-LAST"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sequence[int]:
        if isinstance(value, range):
            return value
        match = re.fullmatch(r"(?:0*([0-9]{1,9})-)?0*([0-9]{1,9})", value)
        if not match and re.fullmatch(r"([0-9]+-)?[0-9]+", value):
            given = cut(value, most=LONGEST_QUOTE)
            raise LadderError(f"--seeds {given} goes beyond seed {LARGEST_SEED}, the largest: give smaller ones")
        if not match:
            self.fail(f"{shown(value)} is not a number of seeds, such as 8, nor a range, such as 101-200", param, ctx)
        first, last = int(match[1] or 1), int(match[2])
        if first > last and match[1]:
            raise LadderError(
                f"--seeds {value} runs backwards: give the smaller seed first, as in --seeds {last}-{first}"
            )
        if first > last:
            raise LadderError("0 seeds train nothing: give at least 1, as in --seeds 8")
        if last - first >= MOST_SEEDS:
            raise LadderError(f"--seeds {value} is more than {MOST_SEEDS:,} seeds: give fewer at a time")
        return range(first, last + 1)


class TheseSeeds(click.ParamType[Sequence[int]]):
    """``9`` for seed 9 alone, ``101-200`` for exactly those: what is chosen of a store is never more than was named."""

    name = "SEED or FIRST-LAST"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sequence[int]:
        if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
            return range(int(value), int(value) + 1)
        if isinstance(value, str) and not re.fullmatch("([0-9]+-)?[0-9]+", value):
            self.fail(f"{shown(value)} is not a seed, such as 9, nor a range, such as 101-200", param, ctx)
        return Seeds().convert(value, param, ctx)


class FreshSeeds(click.ParamType[int | Sequence[int]]):
    """``8`` for that many after a record's last seed, ``101-200`` for exactly those."""

    name = Seeds.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | Sequence[int]:
        if isinstance(value, int | range):
            return value
        seeds = Seeds().convert(value, param, ctx)
        return seeds if "-" in value else len(seeds)


class Duration(click.ParamType[float]):
    """``90s``, ``30m``, ``1h30m`` in seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(?:([0-9]{1,4})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,6})s?)?", value)
        parts = match.groups() if match else (None, None, None)
        seconds = sum(int(part or 0) * unit for part, unit in zip(parts, (3600, 60, 1), strict=True))
        if not seconds:
            self.fail(f"{shown(value)} is not a time, such as 90s, 30m or 1h30m", param, ctx)
        return float(seconds)


class Size(click.ParamType[tuple[int, int]]):
    """``32`` for a square, ``28x40`` for height and width."""

    name = "N or HEIGHTxWIDTH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]{1,5})(?:x([0-9]{1,5}))?", value)
        if match is None:
            self.fail(
                f"{shown(value)} is not a size in pixels, such as 32, nor a height and width, as 28x40", param, ctx
            )
        return int(match[1]), int(match[2] or match[1])


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say what is made of a set's pictures; the command is given the one text that names it all."""

    @wraps(command)
    def named(source: str, resize: str | None, size: Any, channels: str | None, group: str | None, **rest: Any) -> Any:
        wishes = {"resize": resize, "size": size, "channels": channels and int(channels), "group": group}
        wishes = {name: value for name, value in wishes.items() if value is not None}
        if wishes:
            from stepladder.datasets.spec import DataSpec

            source = DataSpec(path=source, **wishes).text
        return command(source=source, **rest)

    for option in (_GROUP, _CHANNELS, _SIZE, _RESIZE):
        named = option(named)
    return named


def words_of(source: str) -> list[str]:
    """What a command is given for a set that is named by this text."""
    from stepladder.datasets.spec import spec_of

    spec = spec_of(source)
    words = [spec.path]
    if spec.size is not None:
        words += ["--resize", str(spec.resize), "--size", "x".join(map(str, spec.size))]
    for name in ("channels", "group"):
        if (value := getattr(spec, name)) is not None:
            words += [f"--{name}", str(value)]
    return words


_RESIZE = click.option(
    "--resize",
    type=Choice(["pad", "crop", "stretch"], place="resize"),
    help="How pictures of other sizes get --size: all of it, its middle, or out of shape.",
)
_SIZE = click.option("--size", type=Size(), help="Pixels of a side, or height x width, that --resize makes.")
_CHANNELS = click.option("--channels", type=Choice(["1", "3"], place="channels"), help="1: grey. 3: colour.")
_GROUP = click.option(
    "--group",
    metavar="REGEX",
    help="Images in whose names this finds the same text, as of one writer or patient, stay in one split.",
)
DOWN = click.option("--down", is_flag=True, help="Ablation: the top recipe without each rung's change in turn.")
LADDER = click.argument("ladder")
LADDERS = click.argument("ladders", metavar="LADDER...", nargs=-1, required=True)
SEEDS = click.option("--seeds", type=Seeds(), default="8", show_default=True, help="Seeds 1 to N, or FIRST to LAST.")
STORE = click.option(
    "--store",
    default="runs",
    show_default=True,
    envvar="STEPLADDER_STORE",
    show_envvar=True,
    help="Folder that keeps all runs.",
)
JOBS = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Processes to train in, one run each; with --on, workers [default: one per core; all workers].",
)
ON = click.option(
    "--on",
    default="local",
    show_default=True,
    metavar="WHERE",
    help="Where to train: local, dask, dask://HOST:PORT, slurm, slurm:NAME=VALUE,... or python:MODULE:FUNCTION"
    " (docs/clusters.md).",
)
TRACK = click.option(
    "--track",
    "trackers",
    multiple=True,
    metavar="TRACKER",
    help="Tell tensorboard, mlflow, wandb or trackio meanwhile.",
)
LOG_DIR = click.option(
    "--log-dir", help="Folder that a tracker writes to [default: its own choice; see docs/trackers.md]."
)
MAX_SEEDS = 64
UNTIL_DECIDED = click.option(
    "--until-decided", is_flag=True, help="Double the seeds, again and again, until every verdict is decided."
)
MAX = click.option(
    "--max-seeds",
    type=click.IntRange(min=1, max=MOST_SEEDS),
    help=f"Most seeds that --until-decided trains [default: {MAX_SEEDS}].",
)
FORCE = click.option("--force", is_flag=True, help="Overwrite a file that Stepladder did not write.")
DEVICE = click.option(
    "--device",
    type=Choice(["auto", "cpu", "cuda"], place="device"),
    default="auto",
    show_default=True,
    help="What it trains on.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON with a schema_version.")
