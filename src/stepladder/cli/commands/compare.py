"""``stepladder compare``: what each change did; of several ladders, how their top rungs differ."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from stepladder.cli.options import DOWN, JSON, LADDERS, STORE
from stepladder.cli.printing import echo_notes, print_ablation, print_json, print_page, print_verdicts
from stepladder.cli.several import Attempt, each, worst
from stepladder.cli.usage import Command
from stepladder.errors import LadderError

if TYPE_CHECKING:
    from stepladder.runs.results import Results
    from stepladder.runs.store import Store


@click.command(cls=Command, short_help="What each change did, and how sure that is.")
@LADDERS
@click.option("--engine", help="Compare the runs of this engine, such as 'jit' or 'torch cuda'.")
@DOWN
@STORE
@JSON
def compare(ladders: tuple[str, ...], engine: str | None, down: bool, store: str, as_json: bool) -> None:
    """Tell what each rung did, and how sure that is: against the rung below, and against its target.

    One interval decides. It holds after every seed: compare as often as you like.

    With --down, show what each change is worth at the top, from the runs of 'climb --down'. With several ladders, show
    their top rungs, each against that of the first, where both are trained and evaluated on the same images; the exit
    code is the worst one, as for 'check'.
    """
    from stepladder.ladders import ladder_file
    from stepladder.ladders.ablation import ablate
    from stepladder.runs.results import collect
    from stepladder.runs.store import Store

    if len(ladders) > 1 and down:
        raise LadderError("--down is about the changes of one ladder: name one, or leave --down out")
    opened = Store.open(store)
    if len(ladders) > 1:
        attempts = each(ladders, partial(_attempt, opened, engine))
        echo_notes(opened)
        _print_several(attempts, as_json=as_json)
        sys.exit(worst(attempts))
    loaded = ladder_file.load(ladders[0])
    results = collect(loaded, opened, engine=engine)
    ablation = ablate(loaded) if down else None
    below_top = collect(ablation.as_plan, opened, engine=results.engine) if ablation else None
    echo_notes(opened)
    if ablation and below_top:
        print_ablation(ablation, results, below_top, as_json)
    else:
        print_verdicts(results, as_json)


def _attempt(store: "Store", engine: str | None, name: str) -> Attempt["Results"]:
    from stepladder.ladders import ladder_file
    from stepladder.runs.results import collect

    return Attempt(name, collect(ladder_file.load(name).top, store, engine=engine))


def _print_several(attempts: Sequence[Attempt["Results"]], *, as_json: bool) -> None:
    from stepladder.analysis.tops import compare_tops

    sound = [each.found for each in attempts if each.found]
    between = compare_tops(sound) if sound else []
    refused = [(each.name, str(each.error)) for each in attempts if each.error]
    if as_json:
        from stepladder.reporting.data.compare_json import tops_dict

        print_json(tops_dict(sound, between, refused=refused))
    else:
        from stepladder.reporting.pages.several_page import tops_page

        print_page(tops_page(sound, between, refused=refused))
