"""Variants hang on a rung: read from a file, held to the rules of a rung in their place, and no step of the ladder."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepladder.datasets.data import describe
from stepladder.errors import LadderError, StepladderError
from stepladder.ladders.ablation import ablate
from stepladder.ladders.checking import check, check_rungs, estimate, notes_of, require_within_budget
from stepladder.ladders.ladder import Ladder, Plan, Rung, Variant
from stepladder.ladders.ladder_file import load
from stepladder.recipes.recipe import Augment
from stepladder.reporting.data.check_json import check_dict
from stepladder.reporting.pages.check_page import check_tables

BEGIN = """\
name = "star"
budget = { params = 2_000, epochs = 10 }
target = { accuracy = 50, last_epochs = 2 }

[[rung]]
name = "start"
why = "a start"
[rung.recipe]
network = ["conv 4 stride 2", "maxpool 2", "conv 6", "gap", "linear 10"]
epochs = 4
"""
COSINE = """
[[rung.variant]]
name = "cosine"
why = "does it settle?"
change.schedule = { kind = "cosine" }
"""
WIDER = """
[[rung.variant]]
name = "wider"
why = "is it too narrow?"
[rung.variant.change]
network = [
    "conv 8 stride 2",
    "maxpool 2",
    "conv 8",
    "gap",
    "linear 10",
]
"""
SECOND = """
[[rung]]
name = "dropout"
why = "train is ahead"
change.dropout = 0.1
budget = { params = 800 }
"""
ROTATION = """
[[rung.variant]]
name = "rotation"
why = "it leans"
change.augment = { rotation_deg = 10 }
"""
STAR = BEGIN + COSINE + WIDER + SECOND + ROTATION


def ladder_of(folder: Path, text: str) -> Ladder:
    path = folder / "star.toml"
    path.write_text(text)
    return load(path)


def refusal(folder: Path, text: str) -> str:
    """The message of a text, less its file; ``<--`` marks the line that it must name."""
    line = next(number for number, content in enumerate(text.split("\n"), 1) if "<--" in content)
    with pytest.raises(LadderError) as refused:
        ladder_of(folder, text.replace("<--", ""))
    start = f"{folder / 'star.toml'}:{line}: "
    assert str(refused.value).startswith(start)
    return str(refused.value).removeprefix(start)


def test_a_variant_is_its_rung_plus_one_change(tmp_path: Path) -> None:
    ladder = ladder_of(tmp_path, STAR)
    start, dropout = ladder.rungs
    assert [(each.on, each.rung.name, each.rung.changes) for each in ladder.variants] == [
        ("start", "cosine", ("schedule",)),
        ("start", "wider", ("network",)),
        ("dropout", "rotation", ("augment",)),
    ]
    rotation = ladder.rung("rotation")
    assert rotation.recipe == dropout.recipe.model_copy(update={"augment": Augment(rotation_deg=10)})
    assert (rotation.budget, rotation.target) == (dropout.budget, dropout.target)
    assert ladder.rung("wider").budget == start.budget


def test_what_stands_above_a_rung_builds_on_the_rung(tmp_path: Path) -> None:
    ladder = ladder_of(tmp_path, STAR)
    assert ladder.rungs[1].recipe == ladder.rungs[0].recipe.model_copy(update={"dropout": 0.1})
    assert [rung.name for rung in ladder.trained] == ["start", "dropout", "cosine", "wider", "rotation"]
    assert [(below.name, rung.name) for below, rung in ladder.steps] == [
        ("start", "dropout"),
        ("start", "cosine"),
        ("start", "wider"),
        ("dropout", "rotation"),
    ]


def test_a_plan_of_its_rungs_has_no_variants(tmp_path: Path) -> None:
    ladder = ladder_of(tmp_path, STAR)
    for plan in (ladder.top, ladder.with_rungs(ladder.rungs), ablate(ladder).as_plan):
        assert type(plan) is Plan
        assert plan.variants == ()
        assert plan.trained == plan.rungs


def test_every_line_of_a_variant_is_known(tmp_path: Path) -> None:
    ladder, lines = ladder_of(tmp_path, STAR), STAR.split("\n")
    wider, rotation = ladder.rung("wider"), ladder.rung("rotation")
    assert [lines[line - 1].strip() for line in wider.layer_lines][::4] == ['"conv 8 stride 2",', '"linear 10",']
    assert lines[rotation.change_line - 1].startswith("change.augment")
    assert lines[wider.line - 1 : wider.line + 1] == ["[[rung.variant]]", 'name = "wider"']


REFUSED = {
    "two changes": (
        'name = "x"\nwhy = "y"\nchange.lr = 0.1  <--\nchange.dropout = 0.2',
        "variant 'x' changes dropout and lr; a variant changes one concept: split it into two variants (first"
        ' change.dropout = 0.2, then change.lr = 0.1), or declare it: compound = "why not one at a time"',
    ),
    "no change": (
        'name = "x"  <--\nwhy = "y"',
        "variant 'x' changes nothing: give it one 'change', or remove it",
    ),
    "what its rung has too": (
        'name = "x"\nwhy = "y"\nchange.epochs = 4  <--',
        "variant 'x' changes nothing about epochs: it is 4 on the rung that it hangs on too: give it another value,"
        " or remove the variant",
    ),
    "a change that does nothing": (
        'name = "x"\nwhy = "y"\nchange.block = "conv relu norm"  <--',
        "variant 'x' changes block without any effect: it would train exactly as the rung that it hangs on",
    ),
    "a whole recipe": (
        'name = "x"\nwhy = "y"\n[rung.variant.recipe]  <--\nepochs = 3',
        "rung 1, variant 1, recipe: unknown field 'recipe'",
    ),
    "a target of its own": (
        'name = "x"\nwhy = "y"\nchange.lr = 0.1\ntarget = { accuracy = 99 }  <--',
        "rung 1, variant 1, target: unknown field 'target'; leave it out: a variant has that of the rung",
    ),
    "what it hangs on": (
        'name = "x"\nwhy = "y"\nchange.lr = 0.1\non = "start"  <--',
        "rung 1, variant 1, on: unknown field 'on'; leave it out: a variant hangs on the [[rung]] that it stands below",
    ),
    "an unknown concept": (
        'name = "x"\nwhy = "y"\nchange.droput = 0.2  <--',
        "rung 1, variant 1, change.droput: unknown field 'droput'; did you mean 'dropout'?",
    ),
    "the name of a rung below": (
        'name = "start"  <--\nwhy = "y"\nchange.lr = 0.1',
        "two rungs are named 'start': names are unique: rename one",
    ),
    "fewer epochs than the target speaks of": (
        'name = "x"  <--\nwhy = "y"\nchange.epochs = 1',
        "variant 'x' trains for 1 epoch but its target speaks of the last 2",
    ),
    "no reason": (
        'name = "x"  <--\nchange.lr = 0.1',
        "rung 1, variant 1, why: this field is missing: say of variant 'x'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_variant_is_refused_as_a_rung_in_its_place_would_be(tmp_path: Path, name: str) -> None:
    written, message = REFUSED[name]
    text = f"{BEGIN}\n[[rung.variant]]\n{written}\n"
    if name in ("no change", "fewer epochs than the target speaks of", "no reason"):  # of the table as a whole
        text = text.replace("  <--", "").replace("[[rung.variant]]", "[[rung.variant]]  <--")
    assert refusal(tmp_path, text).startswith(message)


def test_a_rung_above_with_the_name_of_a_variant_is_refused(tmp_path: Path) -> None:
    text = BEGIN + COSINE + SECOND.replace('"dropout"', '"cosine"  <--')
    assert refusal(tmp_path, text) == "two rungs are named 'cosine': names are unique: rename one"


@pytest.mark.parametrize("twice", [False, True])
def test_single_brackets_are_told_of(tmp_path: Path, twice: bool) -> None:
    single = COSINE.replace("[[rung.variant]]", "[rung.variant]")
    marked = BEGIN + single.replace("[rung.variant]", "[rung.variant]  <--") + single * twice
    message = "each variant begins with [[rung.variant]], in two brackets: write [[rung.variant]] for [rung.variant]"
    assert refusal(tmp_path, marked).endswith(message)


def test_what_is_wrong_on_a_rung_and_its_variants_is_said_at_once(tmp_path: Path) -> None:
    text = BEGIN.replace("conv 6", "convv 6") + COSINE.replace("cosine", "cosin") + SECOND.replace("0.1", "1.0")
    with pytest.raises(LadderError) as refused:
        ladder_of(tmp_path, text)
    assert len(str(refused.value).splitlines()) == 3


def test_variants_count_among_the_rungs_that_a_ladder_may_have(tmp_path: Path) -> None:
    with pytest.raises(LadderError, match="a ladder has at most 2,000 rungs, and this one 2,001: split it"):
        ladder_of(tmp_path, BEGIN + COSINE * 2_000)


# Built in Python.


def variant(ladder: Ladder, on: str, **fields: Any) -> Variant:
    below = ladder.rung(on)
    recipe = below.recipe.model_copy(update=fields)
    rung = replace(below, name="other", why="?", recipe=recipe, changes=tuple(fields))
    return Variant(on=on, rung=rung)


def test_a_ladder_in_python_is_held_to_the_same(tmp_path: Path) -> None:
    ladder = ladder_of(tmp_path, STAR)
    assert replace(ladder, variants=(variant(ladder, "dropout", lr=0.1),)).trained[-1].name == "other"
    good = variant(ladder, "start", lr=0.1)
    broken: list[tuple[Variant, str]] = [
        (replace(good, on="top"), "variant 'other' hangs on 'top', which is no rung of this ladder: hang it on one of"),
        (replace(good, on="cosine"), "variant 'other' hangs on 'cosine', which is no rung of this ladder"),
        (replace(good, on="dropout"), "variant 'other' says that it changes lr, and its recipe changes dropout, lr"),
        (variant(ladder, "start", lr=0.1, dropout=0.1), "variant 'other' changes dropout and lr; a variant changes"),
        (variant(ladder, "start"), "variant 'other' changes nothing"),
        (Variant(on="start", rung=replace(good.rung, name="dropout")), "two rungs are named 'dropout'"),
    ]
    for each, message in broken:
        with pytest.raises(LadderError) as refused:
            replace(ladder, variants=(each,))
        assert message in str(refused.value)


# Checked.


def test_a_check_is_about_variants_too(tmp_path: Path) -> None:
    ladder = ladder_of(tmp_path, STAR)
    found = check(ladder, n_seeds=2, jobs=1, speeds={})
    assert [each.rung.name for each in found.rungs] == ["start", "dropout"]
    assert [each.rung.name for each in found.variants] == ["cosine", "wider", "rotation"]
    assert found.estimate.n_runs == 10
    rungs, variants = check_tables(ladder, found.trained)
    assert [row[:3] for row in rungs.rows] == [("start", "start", "342"), ("dropout", "dropout: none → 10%", "342")]
    assert variants.header[:3] == ("variant", "on", "change")
    assert variants.rows[1][:5] == ("wider", "start", "network: 8s2-P-8-gap-10", "770", "2,000")
    assert variants.tones[1, 8] == "reached"
    body = check_dict(found)
    assert [(each["on"], each["name"], each["params"]) for each in body["variants"]] == [
        ("start", "cosine", 342),
        ("start", "wider", 770),
        ("dropout", "rotation", 342),
    ]


def test_a_variant_over_the_budget_of_its_rung_is_found(tmp_path: Path) -> None:
    tight = ladder_of(tmp_path, BEGIN.replace("2_000", "700") + WIDER)
    found = check(tight, n_seeds=1, jobs=1, speeds={})
    assert [line.partition(",")[0] for line in found.excess] == ["variant 'wider' has 770 parameters"]


def test_notes_of_a_variant_are_those_that_its_rung_has_not(tmp_path: Path) -> None:
    text = BEGIN + 'block = "conv relu norm"\ndropout = 0.1\n' + COSINE
    text += '[[rung.variant]]\nname = "tiny"\nwhy = "?"\nchange.lr = 0.010000001\n'
    ladder = ladder_of(tmp_path, text)
    notes = notes_of(check_rungs(ladder, describe("mnist")))
    assert [note.partition(":")[0] for note in notes] == ["rung 'start'", "rung 'tiny'"]


def test_a_change_without_effect_on_these_images_is_refused(tmp_path: Path) -> None:
    text = BEGIN + '[[rung.variant]]\nname = "huge"\nwhy = "?"\nchange.batch_size = 65_000\n'
    text = text.replace("epochs = 4\n", "epochs = 4\nbatch_size = 60_000\n")
    with pytest.raises(LadderError, match="variant 'huge' changes batch_size without any effect: on these images"):
        check(ladder_of(tmp_path, text), n_seeds=1, jobs=1, speeds={})


def test_variants_take_time(tmp_path: Path) -> None:
    ladder, info = ladder_of(tmp_path, STAR), describe("mnist")
    with_them, without = (
        estimate(each, info, n_seeds=1, jobs=1, speeds={}) for each in (ladder, replace(ladder, variants=()))
    )
    assert (with_them.n_runs, without.n_runs) == (5, 2)
    assert with_them.elapsed_s > without.elapsed_s


def test_an_undeclared_compound_variant_is_refused_with_variants_to_write(tmp_path: Path) -> None:
    text = BEGIN + ROTATION.replace("rotation_deg = 10", "rotation_deg = 10, scale = 0.1")
    ladder = ladder_of(tmp_path, text)
    with pytest.raises(LadderError) as refused:
        check(ladder, n_seeds=1, jobs=1, speeds={})
    assert (
        "split it into two variants (first change.augment = { rotation_deg = 10.0 }, then change.augment ="
        " { scale = 0.1 })" in str(refused.value)
    )


def test_rungs_are_still_found_by_name(tmp_path: Path) -> None:
    ladder = ladder_of(tmp_path, STAR)
    assert isinstance(ladder.rung("wider"), Rung)
    with pytest.raises(LadderError, match="it has start, dropout, cosine, wider, rotation"):
        ladder.rung("none")


def test_a_variant_of_no_rung_is_told_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(LadderError, match=re.escape("it hangs on a rung: write [[rung.variant]], below the [[rung]]")):
        ladder_of(tmp_path, STAR.replace("[[rung.variant]]", "[[variant]]", 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('network = ["conv 4 40x40", "gap", "linear 10"]', r"star.toml:\d+: variant 'odd': layer 1 \('conv 4 40x40'\)"),
        ('distill = { network = ["conv 4 40x40", "gap", "linear 10"] }', "variant 'odd': its teacher: layer 1"),
        ('network = ["conv 90", "conv 90", "gap", "linear 10"]', "over budget: .*: variant 'odd' has 74,"),
        ("epochs = 50", "over budget: .*: variant 'odd' trains for 50 epochs, 40 over its budget of 10"),
    ],
)
def test_what_is_wrong_with_a_variant_is_said_of_a_variant(change: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "star.toml"
    path.write_text(f"{BEGIN}\n[[rung.variant]]\nname = 'odd'\nwhy = 'w'\nchange.{change}\n")
    ladder = load(path)
    with pytest.raises(StepladderError, match=message):
        require_within_budget(ladder, check_rungs(ladder, describe(ladder.data)))
