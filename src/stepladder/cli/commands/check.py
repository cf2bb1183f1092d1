"""``stepladder check``: what can be said of ladders before anything trains."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from stepladder.cli.options import JOBS, JSON, LADDERS, SEEDS, STORE
from stepladder.cli.printing import print_json, print_page
from stepladder.cli.several import Attempt, each, worst
from stepladder.cli.usage import Command
from stepladder.errors import BudgetError

if TYPE_CHECKING:
    from stepladder.ladders.checking import Check


@click.command(cls=Command, short_help="Sizes, receptive fields, budgets, time needed; trains nothing.")
@LADDERS
@SEEDS
@JOBS
@STORE
@JSON
def check(ladders: tuple[str, ...], seeds: Sequence[int], jobs: int | None, store: str, as_json: bool) -> None:
    """Show sizes, receptive fields, budgets and the time a climb takes; train nothing.

    With several ladders, each has a line, and below is what is wrong with any of them. The exit code is the worst one:
    2 for a ladder that makes no sense, before 4 for images that are missing, before 3 for a ladder over its budget.
    """
    from stepladder._base.machine import n_cores
    from stepladder.ladders import ladder_file
    from stepladder.ladders.checking import check as check_ladder
    from stepladder.ladders.checking import require_within_budget
    from stepladder.runs import speeds

    jobs = jobs or n_cores()

    def checked(name: str) -> "Check":
        return check_ladder(ladder_file.load(name), n_seeds=len(seeds), jobs=jobs, speeds=speeds.read(store))

    if len(ladders) > 1:
        attempts = each(ladders, partial(_attempt, checked))
        _print_several(attempts, as_json=as_json)
        sys.exit(worst(attempts))
    found = checked(ladders[0])
    if as_json:
        from stepladder.reporting.data.check_json import check_dict

        print_json(check_dict(found))
    else:
        from stepladder.reporting.pages.check_page import check_page

        print_page(check_page(found))
    require_within_budget(found.ladder, found.trained)


def _attempt(checked: "Callable[[str], Check]", name: str) -> Attempt["Check"]:
    """What is found of a ladder, also where it is over its budget."""
    from stepladder.ladders.checking import require_within_budget

    found = checked(name)
    try:
        require_within_budget(found.ladder, found.trained)
    except BudgetError as error:
        return Attempt(name, found, error)
    return Attempt(name, found)


def _print_several(attempts: Sequence[Attempt["Check"]], *, as_json: bool) -> None:
    told = [(each.name, each.found, str(each.error or "")) for each in attempts]
    if as_json:
        from stepladder.reporting.data.check_json import checks_dict

        print_json(checks_dict(told, exit_codes=[each.exit_code for each in attempts]))
    else:
        from stepladder.reporting.pages.several_page import checks_page

        print_page(checks_page(told))
