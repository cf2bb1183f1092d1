"""A ladder that is built in Python is held to what a file is held to."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from stepladder.errors import LadderError
from stepladder.ladders.ladder import Ladder, Plan, Rung
from stepladder.ladders.ladder_file import load, shipped
from stepladder.ladders.terms import Budget, Target
from stepladder.recipes.recipe import Augment

LADDER = load("mnist-8k")
BOTTOM, LIGHTER, DROPOUT = LADDER.rungs[:3]


def changed(rung: Rung, **fields: Any) -> Rung:
    return replace(rung, recipe=rung.recipe.model_copy(update=fields))


def ladder(*rungs: Rung) -> Ladder:
    return replace(LADDER, rungs=rungs)


BROKEN: dict[str, tuple[Callable[[], Ladder], str]] = {
    "no rung": (ladder, "mnist-8k: a ladder has at least one rung"),
    "a bottom that changes": (lambda: ladder(LIGHTER), "rung 'lighter' is the bottom rung, and changes nothing"),
    "twice the same name": (
        lambda: ladder(BOTTOM, replace(LIGHTER, name="skeleton")),
        "two rungs are named 'skeleton': names are unique",
    ),
    "two changes": (
        lambda: ladder(BOTTOM, replace(changed(LIGHTER, lr=0.5), changes=("network", "lr"))),
        "rung 'lighter' changes network and lr; a rung changes one concept: split it into two rungs (first"
        " change.network = [...], then change.lr = 0.5)",
    ),
    "two changes, one said": (
        lambda: ladder(BOTTOM, changed(LIGHTER, lr=0.5)),
        "rung 'lighter' says that it changes network, and its recipe changes network, lr: make them agree",
    ),
    "another change than said": (
        lambda: ladder(BOTTOM, replace(LIGHTER, changes=("lr",))),
        "rung 'lighter' says that it changes lr, and its recipe changes network",
    ),
    "no change": (
        lambda: ladder(BOTTOM, replace(LIGHTER, recipe=BOTTOM.recipe)),
        "rung 'lighter' changes nothing: give it one 'change', or remove it",
    ),
    "a change of nothing that happens": (
        lambda: ladder(BOTTOM, replace(changed(BOTTOM, clean_epochs=2), name="clean", changes=("clean_epochs",))),
        "rung 'clean' changes clean_epochs without any effect",
    ),
    "compound of one": (
        lambda: ladder(BOTTOM, replace(LIGHTER, compound="why")),
        "rung 'lighter' is declared compound but changes only network",
    ),
    "a looser budget": (
        lambda: ladder(BOTTOM, replace(LIGHTER, budget=Budget(params=20_000, epochs=15))),
        "rung 'lighter' loosens the budget from 10,000 to 20,000 params",
    ),
    "a lower target": (
        lambda: ladder(BOTTOM, replace(LIGHTER, target=Target(accuracy=Decimal(98)))),
        "rung 'lighter' lowers the target",
    ),
    "a target of more epochs than there are": (
        lambda: ladder(changed(BOTTOM, epochs=3)),
        "rung 'skeleton' trains for 3 epochs but its target speaks of the last 5",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_ladder_that_is_none_is_refused(name: str) -> None:
    build, message = BROKEN[name]
    with pytest.raises(LadderError) as refused:
        build()
    assert message in str(refused.value)


def test_all_that_is_broken_is_said_at_once() -> None:
    with pytest.raises(LadderError) as refused:
        ladder(BOTTOM, replace(LIGHTER, name="skeleton", compound="why", budget=Budget(params=20_000, epochs=15)))
    assert len(str(refused.value).splitlines()) == 3


def test_what_is_shipped_is_one_and_declared_compound_changes_are() -> None:
    for name in shipped():
        assert isinstance(load(name), Ladder)
    both = replace(changed(LIGHTER, augment=Augment(rotation_deg=5.0)), changes=("network", "augment"), compound="once")
    assert ladder(BOTTOM, both).rungs[1] == both


def test_a_plan_has_rungs_in_no_order() -> None:
    plan = LADDER.with_rungs([DROPOUT, BOTTOM])
    assert type(plan) is type(LADDER.top) is Plan
    assert [rung.name for rung in plan.rungs] == ["dropout", "skeleton"]
    assert (plan.name, plan.data, plan.comparisons) == (LADDER.name, LADDER.data, LADDER.comparisons)
    assert LADDER.top.rungs == LADDER.rungs[-1:]
