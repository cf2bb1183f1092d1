"""Ladder files: the shipped ones, what is read from a file, and every refusal with its file, line and remedy.

In the texts below, ``<--`` marks the line that a refusal must name; it is taken out before the text is read.
"""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder._base import plain
from stepladder.errors import LadderError
from stepladder.ladders import ladder_file
from stepladder.ladders.ladder_file import Location, line_of
from stepladder.ladders.terms import Budget
from stepladder.networks.geometry import ImageShape
from stepladder.networks.text import parse
from stepladder.recipes.recipe import Augment, Sgd
from stepladder.recipes.schedules import Step

TOP = """\
name = "small"
data = "images"
budget = { params = 1_000, epochs = 10 }
target = { accuracy = 99.4, last_epochs = 3 }

[[rung]]
name = "bottom"
why = "a start"
[rung.recipe]
network = [
    "conv 4 3x3",
    "gap",
    "linear 10",
]
dropout = 0.1
epochs = 8
"""

SECOND = """
[[rung]]
name = "second"
why = "a step"
"""


def save(folder: Path, text: str) -> Path:
    path = folder / "ladder.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    """The message with which a text is refused, less the file and the marked line that it starts with."""
    line = next(number for number, content in enumerate(text.split("\n"), 1) if "<--" in content)
    path = save(folder, text.replace("<--", ""))
    with pytest.raises(LadderError) as refused:
        ladder_file.load(path)
    start, message = f"{path}:{line}: ", str(refused.value)
    assert message.startswith(start)
    return message.removeprefix(start)


# Shipped ladders


def test_shipped_ladders() -> None:
    assert ladder_file.shipped() == (
        "mnist-1000",
        "mnist-4500",
        "mnist-8k",
        "mnist-8k-as-run",
        "mnist-8k-record",
        "mnist-fast",
    )


@pytest.mark.parametrize("name", ["mnist-8k", "mnist-8k-as-run"])
def test_shipped_ladders_are_what_the_objective_says(name: str) -> None:
    ladder = ladder_file.load(name)
    assert (ladder.name, ladder.data, ladder.evaluate_on) == (name, "mnist", "test")
    names = ["skeleton", "lighter", "dropout", "rotation", "steplr", "receptive-field"]
    assert [rung.name for rung in ladder.rungs] == names
    assert [rung.budget.params for rung in ladder.rungs] == [10_000] + 5 * [8_000]
    assert {rung.budget.epochs for rung in ladder.rungs} == {15}
    assert {(float(rung.target.accuracy), rung.target.last_epochs) for rung in ladder.rungs} == {(99.4, 5)}
    for rung in ladder.rungs:
        recipe = rung.recipe
        assert (recipe.lr, recipe.optimizer, recipe.weight_decay) == (0.01, Sgd(momentum=0.9), 0.0)
        assert (recipe.batch_size, recipe.epochs) == (64, 14)
    top = ladder.rungs[-1].recipe
    assert (top.augment, top.schedule) == (Augment(rotation_deg=15.0), Step(kind="step", every_epochs=6, factor=0.1))


def test_every_rung_of_mnist_8k_changes_one_concept() -> None:
    rungs = ladder_file.load("mnist-8k").rungs
    changes = [(), ("network",), ("dropout",), ("augment",), ("schedule",), ("network",)]
    assert [rung.changes for rung in rungs] == changes
    assert {rung.compound for rung in rungs} == {None}
    assert [rung.recipe.dropout for rung in rungs] == [0, 0, 0.05, 0.05, 0.05, 0.05]


def test_mnist_8k_as_run_declares_its_one_compound_rung() -> None:
    ladder = ladder_file.load("mnist-8k-as-run")
    compound = [rung for rung in ladder.rungs if rung.compound is not None]
    assert [(rung.name, rung.changes) for rung in compound] == [("steplr", ("network", "dropout", "schedule"))]
    assert compound[0].compound == "the notebook did all three in one step, which the objective's text does not say"
    assert all(len(rung.changes) == 1 for rung in ladder.rungs[1:] if rung.compound is None)
    assert ladder.rungs[:4] == ladder_file.load("mnist-8k").rungs[:4]


# What is read


def test_a_rung_is_the_rung_below_plus_its_change(tmp_path: Path) -> None:
    third = '[[rung]]\nname = "third"\nwhy = "another"\nchange.batch_size = 32\n'
    ladder = ladder_file.load(save(tmp_path, TOP + SECOND + "change.dropout = 0.2\n" + third))
    bottom, second, top = (rung.recipe for rung in ladder.rungs)
    assert bottom.network == (parse("conv 4 3x3"), parse("gap"), parse("linear 10"))
    assert second == bottom.model_copy(update={"dropout": 0.2})
    assert top == bottom.model_copy(update={"dropout": 0.2, "batch_size": 32})
    assert [rung.changes for rung in ladder.rungs] == [(), ("dropout",), ("batch_size",)]


def test_budget_and_target_hold_from_their_rung_up(tmp_path: Path) -> None:
    change = "change.dropout = 0.2\nbudget = { params = 900 }\ntarget.last_epochs = 5\n"
    third = '[[rung]]\nname = "third"\nwhy = "another"\nchange.batch_size = 32\n'
    ladder = ladder_file.load(save(tmp_path, TOP + SECOND + change + third))
    assert [rung.budget for rung in ladder.rungs] == [Budget(params=params, epochs=10) for params in (1_000, 900, 900)]
    targets = [(str(rung.target.accuracy), rung.target.last_epochs) for rung in ladder.rungs]
    assert targets == [("99.4", 3), ("99.4", 5), ("99.4", 5)]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("mnist", "mnist"),
        ("images", "{folder}/images"),
        ("../images.npz", "{folder}/../images.npz"),
        ("/data/images", "/data/images"),
        ("~/images", "{home}/images"),
    ],
)
def test_data_paths_start_from_the_ladder_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, found: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    ladder = ladder_file.load(save(tmp_path, TOP.replace('"images"', f'"{data}"')))
    expected = found.format(folder=tmp_path, home=tmp_path / "home")
    assert ladder.data == (expected if data == "mnist" else str(Path(expected)))


def test_data_of_a_user_who_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, TOP.replace('"images"', '"~nobody-of-this-name/images"'))
    with pytest.raises(LadderError, match="~nobody-of-this-name"):
        ladder_file.load(path)


# Refused: what a rung says

RUNGS = {
    "two changes": (
        "change.dropout = 0.2  <--\nchange.lr = 0.1",
        "rung 'second' changes dropout and lr; a rung changes one concept: split it into two rungs"
        " (first change.dropout = 0.2, then change.lr = 0.1), or declare it: compound ="
        ' "why not one at a time"',
    ),
    "three changes": (
        "[rung.change]  <--\nbatch_size = 32\nlr = 0.1\ndropout = 0.2",
        "rung 'second' changes dropout, lr and batch_size; a rung changes one concept: split it into three rungs"
        " (first change.dropout = 0.2, then change.lr = 0.1, then change.batch_size = 32), or declare it: compound ="
        ' "why not one at a time"',
    ),
    "a change equal to the value below": (
        "change.dropout = 0.1  <--",
        "rung 'second' changes nothing about dropout: it is 10% on the rung below too: give it another value, or"
        " remove the rung",
    ),
    "one of two changes equal to the value below": (
        "[rung.change]\nlr = 0.1\nepochs = 8  <--",
        "rung 'second' changes nothing about epochs: it is 8 on the rung below too: remove epochs from its change",
    ),
    "compound for a single change": (
        'change.dropout = 0.2\ncompound = "no reason"  <--',
        "rung 'second' is declared compound but changes only dropout: remove 'compound'",
    ),
    "a whole recipe": (
        '[rung.recipe]  <--\nnetwork = ["gap"]\nepochs = 1',
        "rung 'second' gives a whole recipe; only the bottom rung does: give its one 'change'",
    ),
    "a loosened budget": (
        "change.dropout = 0.2\n[rung.budget]\nepochs = 9\nparams = 1_001  <--",
        "rung 'second' loosens the budget from 1,000 to 1,001 params: a rung may only tighten it",
    ),
    "a lower accuracy": (
        "change.dropout = 0.2\ntarget = { accuracy = 99.3 }  <--",
        "rung 'second' lowers the target: a rung may only raise it",
    ),
    "fewer last epochs": (
        "change.dropout = 0.2\ntarget.last_epochs = 2  <--",
        "rung 'second' lowers the target: a rung may only raise it",
    ),
    "a target over more epochs than are trained": (
        "change.dropout = 0.2\ntarget.last_epochs = 9  <--",
        "rung 'second' trains for 8 epochs but its target speaks of the last 9:"
        " train longer, or set target.last_epochs to at most 8",
    ),
    "an unknown field of a rung": (
        'change.dropout = 0.2\nreason = "typo"  <--',
        "rung 2, reason: unknown field 'reason'; known are budget, change, compound, name, recipe, target, variant,"
        " why",
    ),
    "an unknown concept": (
        "change.droput = 0.2  <--",
        "rung 2, change.droput: unknown field 'droput'; did you mean 'dropout'?",
    ),
    "an unknown field of augment": (
        "change.augment = { rotation = 15.0 }  <--",
        "rung 2, change.augment.rotation: unknown field 'rotation'; did you mean 'rotation_deg'?",
    ),
    "an unknown field of a table augment": (
        "[rung.change.augment]\nshift_px = 1.0\nrotation = 15.0  <--",
        "rung 2, change.augment.rotation: unknown field 'rotation'; did you mean 'rotation_deg'?",
    ),
    "an unknown field of budget": (
        "change.dropout = 0.2\nbudget = { parameters = 900 }  <--",
        "rung 2, budget.parameters: unknown field 'parameters'; did you mean 'params'?",
    ),
    "an unknown schedule": (
        'change.schedule = { kind = "stp", every_epochs = 6 }  <--',
        "rung 2, change.schedule: unknown kind 'stp'; did you mean 'step'?",
    ),
    "a schedule without a kind": (
        "change.schedule = { every_epochs = 6 }  <--",
        "rung 2, change.schedule: give it a kind, one of 'constant', 'step', 'cosine', 'linear', 'one-cycle',"
        " 'plateau'",
    ),
    "an unknown layer": (
        'change.network = [\n    "conv 4 3x3",\n    "convv 4 3x3",  <--\n    "gap",\n    "linear 10",\n]',
        "rung 2, change.network.item 2: unknown layer 'convv' in 'convv 4 3x3'; did you mean 'conv'?",
    ),
    "a layer without its number": (
        '[rung.change]\nnetwork = [ # one layer a line\n    "conv 4", # ok\n\n    "gap",\n    "linear",  <-- # 10\n]',
        "rung 2, change.network.item 3: layer 'linear': the number of output features must be a whole number of at"
        " least 1, not nothing: write it, as in 'linear 10'",
    ),
    "an unknown layer in an inline table": (
        'change = { network = [\n    "conv 4 3x3",\n    "convv 4 3x3",  <--\n    "gap",\n    "linear 10",\n] }',
        "rung 2, change.network.item 2: unknown layer 'convv' in 'convv 4 3x3'; did you mean 'conv'?",
    ),
    "an unknown layer between comments": (
        'change = { network = [ # wider\n    "conv 4 3x3", # 1\n    "convv 4 3x3",  <-- # 2\n    "gap", # 3\n] }',
        "rung 2, change.network.item 2: unknown layer 'convv' in 'convv 4 3x3'; did you mean 'conv'?",
    ),
    "a wrong block order": (
        'change.block = "conv relu relu"  <--',
        "rung 2, change.block: block order 'conv relu relu' names a step twice",
    ),
    "a number in quotes": (
        'change.epochs = "14"  <--',
        "rung 2, change.epochs: it should be a whole number, not '14': leave the quotes out, epochs = 14",
    ),
    "a truth value for a number": (
        "change.epochs = true  <--",
        "rung 2, change.epochs: it should be a whole number, not True: write a number, as in epochs = 14",
    ),
    "a number out of range": (
        "change.dropout = 1.0  <--",
        "rung 2, change.dropout: it should be less than 1, not 1.0: a usual value is dropout = 0.05",
    ),
    "no number": (
        "change.lr = nan  <--",
        "rung 2, change.lr: it should be a finite number, not nan",
    ),
    "a change that is no table": (
        'change = "dropout"  <--',
        "rung 2, change: it should be a table, not 'dropout': write a table, as in change = { dropout = 0.05 }",
    ),
}


@pytest.mark.parametrize(("rung", "message"), RUNGS.values(), ids=RUNGS)
def test_a_rung_is_refused(tmp_path: Path, rung: str, message: str) -> None:
    assert refusal(tmp_path, TOP + SECOND + rung + "\n") == message


# Refused with the remedy: what people write who know other tools.

REMEDIES = {
    'lr = "fast"': "write a number, as in lr = 0.01",
    "dropout = 5": "5% is written 0.05",
    "dropout = 50": "50% is written 0.5",
    "loss = { label_smoothing = 10 }": "10% is written 0.1",
    "optimizer = { momentum = 90 }": "90% is written 0.9",
    "augment = { scale = 10 }": "10% is written 0.1",
    "augment = { scale = 1.1 }": ": it is a fraction, either way: 0.1 for up to 10% larger or smaller",
    "augment = { scale = 1.25 }": "0.25 for up to 25% larger or smaller",
    "augment = { rotation_deg = [-10, 10] }": "one number, for both ways: write rotation_deg = 10.0",
    "augment = { shift_px = [0, 2.5] }": "write shift_px = 2.5",
    'optimizer = "adam"': "not 'adam': write optimizer = { kind = \"adam\" }",
    'schedule = "steplr"': 'write schedule = { kind = "step", every_epochs = 6 }',
    'loss = "mse"': "write a table, as in loss = { label_smoothing = 0.1 }",
    "average = true": "write a table, as in average = { horizon_epochs = 1.0 }",
    "sharpness_aware = 0.05": "write a table, as in sharpness_aware = { radius = 0.05 }",
    'optimizer = { kind = "rmsprop" }': ": 'rmsprop' is not in Stepladder; known are 'sgd', 'adam', 'adamw' and 'muon'",
    "lr = 0": "it should be more than 0, not 0: a usual value is lr = 0.01",
    "weight_decay = -1": "it should be at least 0, not -1: a usual value is weight_decay = 0.0005",
    "batch_size = 0": "it should be at least 1, not 0: a usual value is batch_size = 64",
    'network = ["conv 4", "dropout 0.1"]': "; its rate belongs in the recipe, dropout = 0.1",
    'loss = { kind = "mse" }': "unknown kind 'mse'; the only loss is 'cross-entropy'",
    'schedule = { kind = "steplr" }': "unknown kind 'steplr'; did you mean 'step'?",
    'schedule = { kind = "step", step_size = 6 }': "unknown field 'step_size'; did you mean 'every_epochs'?",
    'schedule = { kind = "step", every_epochs = 6, gamma = 0.1 }': "did you mean 'factor'?",
    'schedule = { kind = "one-cycle", pct_start = 0.3 }': "did you mean 'rise'?",
    'schedule = { kind = "one-cycle", div_factor = 25 }': "write start = 1 / div_factor",
    'schedule = { kind = "one-cycle", start = 25 }': "0.04 for a div_factor of 25",
    'schedule = { kind = "one-cycle", warmup_epochs = 2 }': "it goes with kind 'step' or 'cosine' or 'linear'",
    'optimizer = { kind = "adam", momentum = 0.9 }': "it goes with kind 'sgd' or 'muon'",
    "momentum = 0.9": "it belongs in optimizer: optimizer = { momentum = 0.9 }",
    "beta1 = 0.9": 'it belongs in optimizer: optimizer = { kind = "adam", beta1 = 0.9 }',
    "label_smoothing = 0.1": "it belongs in loss: loss = { label_smoothing = 0.1 }",
    "hflip = true": "it belongs in augment: augment = { mirror = true }",
    "rotation = 10.0": "it belongs in augment: augment = { rotation_deg = 10.0 }",
    "augment = { translate = 0.1 }": "write shift_px: in pixels, not as a fraction of the image's side",
    "normalize = true": "images are always normalised",
    "drop_last = true": "there is none here: a smaller last batch is kept",
    "epochs = 14.0": "write a whole number, epochs = 14",
    "norm_scale = 1": "write norm_scale = true or norm_scale = false",
    'network = ["conv 8 3"]': "a kernel is written 3x3",
    'network = ["conv 8 nobias"]': "a convolution has no bias unless told: leave it out",
    'block = "conv relu groupnorm"': "'norm' is batch norm, which is something else",
}


@pytest.mark.parametrize("change", REMEDIES)
def test_a_change_is_refused_with_its_remedy(tmp_path: Path, change: str) -> None:
    message = refusal(tmp_path, f"{TOP}{SECOND}change.{change}  <--\n")
    assert message.splitlines()[0].endswith(REMEDIES[change]) or REMEDIES[change] in message.splitlines()[0]
    refusal(tmp_path, f"{TOP}{SECOND}[rung.change]\n{change}  <--\n")


def test_a_concept_on_a_rung_is_sent_to_its_change(tmp_path: Path) -> None:
    message = refusal(tmp_path, TOP + SECOND + "lr = 0.1  <--\n")
    assert "write change = { lr = 0.1 }" in message
    assert "\n" not in message, "that the rung changes nothing follows from that"


def test_a_rung_without_a_why_is_named(tmp_path: Path) -> None:
    text = TOP + SECOND.replace('why = "a step"\n', "").replace("[[rung]]", "[[rung]]  <--") + "change.lr = 0.2\n"
    assert "say of rung 'second' why it is taken, as in why = " in refusal(tmp_path, text)


@pytest.mark.parametrize(("written", "meant"), [("0.99", "99"), ("0.994", "99.4"), ("1", "100"), ("0.5", "50")])
def test_an_accuracy_that_is_a_fraction_is_refused(tmp_path: Path, written: str, meant: str) -> None:
    message = refusal(tmp_path, TOP.replace("accuracy = 99.4, last_epochs = 3 }", f"accuracy = {written} }}  <--"))
    assert message.endswith(f"is {written}%: write {meant} for {meant}%")


def test_all_that_is_wrong_is_told_by_line_and_what_follows_from_it_is_not(tmp_path: Path) -> None:
    text = TOP.replace("epochs = 10 }", "epoch = 10 }").replace("epochs = 8", "epochs = 2").replace("0.1", "10")
    text += SECOND + "change.droput = 0.2\n" + SECOND.replace("a step", "b") + "change.lr = 0.2\n"
    text += '[[rung]]\nname = "third"\nwhy = "c"\nchange = { lr = "fast", dropout = 3 }\n'
    path = save(tmp_path, text)
    with pytest.raises(LadderError) as refused:
        ladder_file.load(path)
    lines = text.splitlines()
    found = [(int(each.split(":")[1]), each.split(": ", 1)[1]) for each in str(refused.value).splitlines()]
    assert [(lines[number - 1].split(" = ")[0], words.split(":")[0]) for number, words in found] == [
        ("budget", "budget.epoch"),
        ("dropout", "rung 1, recipe.dropout"),
        ("change.droput", "rung 2, change.droput"),
        ("name", "two rungs are named 'second'"),
        ("change", "rung 4, change.dropout"),
        ("change", "rung 4, change.lr"),
    ]


def test_what_all_rungs_inherit_is_told_once(tmp_path: Path) -> None:
    path = save(tmp_path, TOP.replace("epochs = 8", "epochs = 2") + SECOND + "change.lr = 0.2\n")
    with pytest.raises(LadderError) as refused:
        ladder_file.load(path)
    assert str(refused.value).count("speaks of the last 3") == 1
    assert "\n" not in str(refused.value)


def test_very_many_errors_are_told_up_to_twenty(tmp_path: Path) -> None:
    rungs = "".join(f'[[rung]]\nname = "{n}"\nwhy = "w"\nchange.x = 1\n' for n in range(300))
    with pytest.raises(LadderError) as refused:
        ladder_file.load(save(tmp_path, TOP + rungs))
    *told, last = str(refused.value).splitlines()
    assert 3 <= len(told) <= 20
    assert last == f"... and {300 - len(told)} more errors"
    assert len(str(refused.value)) <= 2_000


def test_a_long_list_of_errors_has_whole_lines(tmp_path: Path) -> None:
    """Eighteen errors with long advice were cut in mid-line, and one of them was lost."""
    text = TOP + "".join(f'[[rung]]\nname = "{n}"\nwhy = "w"\nchange.x{n} = 1\n' for n in range(18))
    with pytest.raises(LadderError) as refused:
        ladder_file.load(save(tmp_path, text))
    said = str(refused.value)
    assert plain.message(f"Error: {said}") == f"Error: {said}"
    fields = [f"change.x{n}: unknown field 'x{n}'" for n in range(18)]
    assert len(said.splitlines()) == len(fields)
    for number, (line, field) in enumerate(zip(said.splitlines(), fields, strict=True)):
        assert f"ladder.toml:{20 + 4 * number}: rung {number + 2}, {field}" in line
        assert "characters" not in line


def test_one_long_error_is_below_what_a_terminal_is_told(tmp_path: Path) -> None:
    long = "".join(f"x{n} = 1\n" for n in range(40)) + f'"{"y" * 5000}" = 1\n'
    with pytest.raises(LadderError) as refused:
        ladder_file.load(save(tmp_path, long + TOP))
    *told, last = str(refused.value).splitlines()
    assert last == f"... and {41 - len(told)} more errors"
    assert all(line.partition(": ")[0].startswith((str(tmp_path), "ladder.toml:")) for line in told)
    assert plain.message(f"Error: {refused.value}") == f"Error: {refused.value}"


WRONG_KINDS = {
    'schedule = { kind = "onecycle", max_lr = 0.1, pct_start = 0.3 }': [
        "unknown kind 'onecycle'; did you mean 'one-cycle'?",
        "unknown field 'max_lr'; it belongs in the recipe",
        "unknown field 'pct_start'; did you mean 'rise'?",
    ],
    'schedule = { kind = "StepLR", gamma = 0.1 }': [
        "unknown kind 'StepLR'; did you mean 'step'?",
        "unknown field 'gamma'; did you mean 'factor'?",
    ],
    'schedule = { kind = "poly", pct_start = 0.3 }': [
        "'poly' is not in Stepladder; known are 'constant', 'step'",
        "unknown field 'pct_start'; did you mean 'rise'?",
    ],
    'optimizer = { kind = "rmsprop", eps = 0.1 }': [
        "'rmsprop' is not in Stepladder; known are",
        "unknown field 'eps'; did you mean 'epsilon'?",
    ],
    'optimizer = { kind = "muonn", nssteps = 3 }': [
        "did you mean 'muon'?",
        "unknown field 'nssteps'; did you mean 'n_steps'?",
    ],
}


@pytest.mark.parametrize("change", WRONG_KINDS)
def test_a_wrong_kind_hides_no_other_error(tmp_path: Path, change: str) -> None:
    message = refusal(tmp_path, f"{TOP}{SECOND}change.{change}  <--\n")
    for words in WRONG_KINDS[change]:
        assert words in message


@pytest.mark.parametrize("n", [1, 2])
def test_rungs_in_one_bracket_are_told_to_take_two(tmp_path: Path, n: int) -> None:
    text = TOP.replace("[[rung]]", "[rung]  <--") + n // 2 * SECOND.replace("[[rung]]", "[rung]")
    assert refusal(tmp_path, text).endswith(
        "each rung begins with [[rung]], in two brackets: write [[rung]] for [rung]"
    )
    mixed = TOP.replace("[[rung]]", "[rung]  <--") + SECOND
    assert "in two brackets" in refusal(tmp_path, mixed)


def test_what_toml_says_is_shown_without_tuples_and_its_line_once(tmp_path: Path) -> None:
    said = refusal(tmp_path, TOP + "[rung.recipe]  <--\n")
    assert said.startswith("not a TOML file: ")
    assert "('" not in said
    assert "at line" not in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("accuracy = 99.4", "accuracy = 95%", "write 95.0 without %"),
        ("dropout = 0.1", "dropout = 10%", "write 0.1 without %"),
        ("params = 1_000", "params = 2k", "write 2_000"),
        ("params = 1_000", "params = 1.5M", "write 1_500_000"),
        ("params = 1_000", "params = 8,000", "write 8_000"),
        ('data = "images"', 'data = "MNIST"', 'write it in small letters, data = "mnist"'),
        (
            'data = "images"',
            'data = "https://example.org/set.npz"',
            "nothing is fetched from the network: download it, and give the path of its file or folder",
        ),
        ('data = "images"', 'data = "images"\nevaluate_on = "val"', "; did you mean 'dev'?"),
        ('name = "small"', 'name = ""', "it should be a text that is not empty, not '': write name = \"mine\""),
    ],
)
def test_values_as_people_write_them(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(LadderError) as refused:
        ladder_file.load(save(tmp_path, TOP.replace(old, new)))
    assert str(refused.value).endswith(words)


TOML = {
    "why = mine": "in the line 'why = mine': texts stand in quotes",
    'why = "mine': "a quotation mark is missing",
    'why: "mine"': "write key = value, with = and not with :",
    "why = “mine”": "write straight quotes",
    "x = True": "true and false are written in small letters",
    "x = None": "TOML has no null: leave the line out",
    "x =": "a value is missing behind =",
    'why = "C:\\x"': "a backslash in a text is written twice, or the text in single quotes",
    "[rung.recipe]\n[rung.recipe]": "a key or table is given twice",
    "x = [1,": "the list that begins in line 17 is never closed: write ] at its end",
    'x = [\n"a",\n"b"\ny = 1': "the list that begins in line 17 is never closed: write ] at its end",
    'x = [\n"a",\n"b",\n\ny = 1': "the list that begins in line 17 is never closed: write ] at its end",
    'x = [ # ]\n["a", "b"],\n[[rung]]': "the list that begins in line 17 is never closed: write ] at its end",
    'x = ["a",\n[rung.target]\n': "the list that begins in line 17 is never closed: write ] at its end",
    'x = ["a", "b"\n"c"]': "a comma is missing behind '\"b\"' in line 17",
    'x = [\n"a" # one\n\n"b",\n]': "a comma is missing behind '\"a\"' in line 18",
    'x = ["a" "b"]': "a comma is missing behind '\"a\"' in line 17",
    "x = [1 2]": "a comma is missing behind '1' in line 17",
    "x = [[1]\n[2]]": "a comma is missing behind ']' in line 17",
    'x = { a = "b" c = 1 }': "a comma is missing behind '\"b\"' in line 17",
    'x = ["a, "b"]': "a quotation mark is missing",
    'x = [\n"a,\n"b"]': "a quotation mark is missing",
    'x = [\n"a",\n"b]\n': "a quotation mark is missing",
    "x = [\n'a',\n'b\n]": "a quotation mark is missing",
    "x = { a = 1,\nb = 2 }": "a table in { } stands on one line",
    '{"name": "x"}': "this is another format than TOML",
}


@pytest.mark.parametrize("line", TOML)
def test_text_that_is_no_toml_is_refused_with_its_line_and_the_cause(tmp_path: Path, line: str) -> None:
    path = save(tmp_path, f"{TOP}{line}\n")
    with pytest.raises(LadderError, match=r"ladder\.toml:\d+: not a TOML file: .*, in the line ['\"]") as refused:
        ladder_file.load(path)
    assert str(refused.value).endswith(TOML[line]) or TOML[line] in str(refused.value)


def test_what_is_no_ladder_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    save(tmp_path, TOP)
    (tmp_path / "huge.toml").write_bytes(b"#" * 1_000_001)
    for path, words in (
        (tmp_path, r"it is a folder: name one file in it, as in .*/huge\.toml"),
        (tmp_path / "mine.toml", r"No such file or directory: in that folder are huge\.toml, ladder\.toml"),
        (
            tmp_path / "laddr.toml",
            r"No such file or directory; did you mean 'ladder\.toml'\? In that folder are huge\.toml",
        ),
        (tmp_path / "no" / "mine.toml", "No such file or directory: there is no folder '"),
        (tmp_path / "huge.toml", "more than 1,000,000 bytes: this is not a ladder file"),
        (tmp_path / ("x" * 5000 + ".toml"), "File name too long"),
        (tmp_path / "nul\0.toml", "cannot read this ladder file"),
        ("nul\0", "no ladder 'nul"),
        ("x" * 5000, r"no ladder 'xxx.*\(5,000 characters\)"),
        ("/dev/null", "it is not an ordinary file"),
    ):
        with pytest.raises(LadderError, match=words) as refused:
            ladder_file.load(path)
        assert len(str(refused.value)) <= 2_000


@pytest.mark.parametrize("rest", ["", "change = {}\n"])
def test_a_rung_without_a_change_is_refused(tmp_path: Path, rest: str) -> None:
    second = SECOND.replace("[[rung]]", "[[rung]]  <--")
    assert refusal(tmp_path, TOP + second + rest) == (
        "rung 'second' changes nothing: give it one 'change', or remove it"
    )


# A schedule is one of several kinds: its errors carry the kind, which is no place in the file.
SCHEDULES = {
    "unknown field": (
        'kind = "step"\nevery_epochs = 6\nfacto = 0.1  <--',
        "unknown field 'facto'; did you mean 'factor'?",
    ),
    "number out of range": (
        'kind = "step"\nevery_epochs = 0  <--',
        "it should be at least 1, not 0: a usual value is every_epochs = 6",
    ),
}


@pytest.mark.parametrize(("schedule", "end"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_is_refused(tmp_path: Path, schedule: str, end: str) -> None:
    message = refusal(tmp_path, TOP + SECOND + f"[rung.change.schedule]\n{schedule}\n")
    assert message.startswith("rung 2, change.schedule.")
    assert message.endswith(f": {end}")


def test_an_unknown_field_of_an_inline_schedule_is_refused(tmp_path: Path) -> None:
    change = 'change.schedule = { kind = "step", every_epochs = 6, facto = 0.1 }  <--\n'
    assert refusal(tmp_path, TOP + SECOND + change).endswith(": unknown field 'facto'; did you mean 'factor'?")


# Refused: what the file says at its top and on its bottom rung

FILES = {
    "newer format": (
        'name = "small"',
        'format_version = 2  <--\nname = "small"',
        "this ladder is of format 2; this Stepladder reads up to 1: upgrade it",
    ),
    "unknown field at the top": (
        'data = "images"',
        'data = "images"\ndev_image = 5  <--',
        "dev_image: unknown field 'dev_image'; did you mean 'dev_images'?",
    ),
    "name missing": ('name = "small"', "<--", 'name: this field is missing: write it, as in name = "mine"'),
    "unknown split": (
        'data = "images"',
        'data = "images"\nevaluate_on = "train"  <--',
        "evaluate_on: it should be 'dev' or 'test', not 'train'",
    ),
    "not a hash": (
        'data = "images"',
        'data = "images"\ndata_sha256 = "0123"  <--',
        "data_sha256: it should be 64 hex digits in small letters, not '0123': copy them from what 'stepladder check'"
        " prints, or leave it out",
    ),
    "budget in quotes": (
        "params = 1_000, epochs = 10 }",
        'params = "1000", epochs = 10 }  <--',
        "budget.params: it should be a whole number, not '1000': leave the quotes out, params = 1000",
    ),
    "a percentage over 100": (
        "accuracy = 99.4, last_epochs = 3 }",
        "accuracy = 199, last_epochs = 3 }  <--",
        "target.accuracy: it should be at most 100, not 199: a usual value is accuracy = 99.4",
    ),
    "dev as a part": (
        'data = "images"',
        'data = "images"\ndev_images = 0.2  <--',
        "dev_images: it should be a whole number, not 0.2: it is a number of images, not a fraction of them: for 20% of"
        " 60,000 write 12000",
    ),
    "target missing": (
        "accuracy = 99.4, last_epochs = 3 }",
        "last_epochs = 3 }  <--",
        "target.accuracy: this field is missing: write it, as in accuracy = 99.4",
    ),
    "recipe in the wrong words": (
        "dropout = 0.1",
        "drop_out = 0.1  <--",
        "rung 1, recipe.drop_out: unknown field 'drop_out'; did you mean 'dropout'?",
    ),
    "unknown layer on the bottom rung": (
        '"gap",',
        '"gapp",  <--',
        "rung 1, recipe.network.item 2: unknown layer 'gapp' in 'gapp'; did you mean 'gap'?",
    ),
    "epochs in quotes": (
        "epochs = 8",
        'epochs = "8"  <--',
        "rung 1, recipe.epochs: it should be a whole number, not '8': leave the quotes out, epochs = 8",
    ),
    "target over more epochs than are trained": (
        'name = "bottom"',
        'target.last_epochs = 9  <--\nname = "bottom"',
        "rung 'bottom' trains for 8 epochs but its target speaks of the last 9:"
        " train longer, or set target.last_epochs to at most 8",
    ),
    "bottom rung with a change": (
        "[[rung]]",
        "[[rung]]  <--\nchange.lr = 0.1",
        "rung 'bottom' is the bottom rung: give it a whole 'recipe', no 'change' and no 'compound'",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), FILES.values(), ids=FILES)
def test_a_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert refusal(tmp_path, TOP.replace(old, new, 1)) == message


def test_a_recipe_without_epochs_is_refused(tmp_path: Path) -> None:
    text = TOP.replace("epochs = 8\n", "").replace("[rung.recipe]", "[rung.recipe]  <--")
    assert refusal(tmp_path, text) == "rung 1, recipe.epochs: this field is missing: write it, as in epochs = 14"


def test_a_target_from_below_over_more_epochs_than_are_trained_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, TOP + SECOND + "change.epochs = 2\n")
    with pytest.raises(LadderError, match="rung 'second' trains for 2 epochs but its target speaks of the last 3:"):
        ladder_file.load(path)


def test_the_line_is_right_in_a_file_written_on_windows(tmp_path: Path) -> None:
    path = tmp_path / "ladder.toml"
    path.write_bytes(TOP.replace("epochs = 8", 'epochs = "8"').replace("\n", "\r\n").encode())
    with pytest.raises(LadderError) as refused:
        ladder_file.load(path)
    assert str(refused.value).startswith(f"{path}:16: rung 1, recipe.epochs: ")


def test_a_bottom_rung_without_a_recipe_is_refused(tmp_path: Path) -> None:
    text = TOP.partition("[rung.recipe]")[0].replace("[[rung]]", "[[rung]]  <--")
    assert (
        refusal(tmp_path, text)
        == "rung 'bottom' is the bottom rung: give it a whole 'recipe', no 'change' and no 'compound'"
    )


def test_two_rungs_of_one_name_are_refused(tmp_path: Path) -> None:
    text = TOP + SECOND.replace('"second"', '"bottom"  <--') + "change.dropout = 0.2\n"
    assert refusal(tmp_path, text) == "two rungs are named 'bottom': names are unique: rename one"


def test_a_ladder_without_rungs_is_refused(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path, "<--" + TOP.partition("[[rung]]")[0])
        == "rung: this field is missing: a ladder has at least one [[rung]]"
    )


def test_a_text_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, TOP.replace("dropout = 0.1", "dropout 0.1"))
    with pytest.raises(LadderError, match=r"ladder\.toml:15: not a TOML file: .*at column 9"):
        ladder_file.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LadderError, match=r"none\.toml: cannot read this ladder file: No such file or directory"):
        ladder_file.load(tmp_path / "none.toml")


def test_a_file_of_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LadderError, match=r"bytes\.toml: cannot read this ladder file: "):
        ladder_file.load(tmp_path / "bytes.toml")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mnist8k", "did you mean 'mnist-8k'?"),
        ("zebra", "known are mnist-1000, mnist-4500, mnist-8k, mnist-8k-as-run, mnist-8k-record, mnist-fast"),
    ],
)
def test_an_unknown_shipped_ladder_is_refused(name: str, hint: str) -> None:
    with pytest.raises(LadderError) as refused:
        ladder_file.load(name)
    end = " A" if hint.endswith("?") else "; a"
    assert str(refused.value) == f"no ladder '{name}'; {hint}{end} file of your own ends in .toml"


@pytest.mark.parametrize("name", ["fash", "fash.tml", "fahs", "Fash", "fash.toml.txt", "fash.tom"])
def test_a_file_beside_is_thought_of_before_a_shipped_ladder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        (folder / "fash.toml").write_text(TOP)
    monkeypatch.chdir(tmp_path)
    for start in ("", "sub/"):
        with pytest.raises(LadderError) as refused:
            ladder_file.load(start + name)
        meant = str(Path(start, "fash.toml"))
        assert str(refused.value) == f"no ladder {start + name!r}; did you mean {meant!r}?"
        ladder_file.load(meant)


@pytest.mark.parametrize("name", ["mnist8k", "mnist-8kk", "mnist-8k-recrod"])
def test_a_shipped_ladder_is_thought_of_where_no_file_beside_is_as_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "mnist.toml").write_text(TOP)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LadderError, match=f"no ladder '{name}'; did you mean 'mnist-8k"):
        ladder_file.load(name)
    with pytest.raises(LadderError, match=r"no ladder 'mnist'; did you mean 'mnist\.toml'"):
        ladder_file.load("mnist")


def test_a_set_of_images_is_no_ladder_but_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(LadderError, match=rf"it is a set of images: 'stepladder new {path}' writes a ladder for them"):
        ladder_file.load(path)


# Lines

Piece = tuple[list[str], dict[Location, int]]
"""Lines of TOML, and for each value in them its place and the number, from 0, of the line on which it starts."""

# What could be taken for something else: keys, tables, brackets and comments in strings, line ends that TOML knows not.
STRINGS = ("", "conv 8", "k1 = 1", "[[r]]", "[t0]", "a # b", "]}", "'''", "€ ü", "one\u2028line", "one\u0085line")
strings = st.sampled_from(STRINGS)
ends = st.sampled_from(("", " ", "  # a comment", '  # ] } """'))
gaps = st.sampled_from(([], [""], ["# k1 = 1"], ["", "# [t0]", ""]))


@st.composite
def items(draw: st.DrawFn, where: Location) -> Piece:
    """The items of an array, one a line, some lines apart."""
    lines: list[str] = []
    places: dict[Location, int] = {}
    for index, text in enumerate(draw(st.lists(strings, max_size=4))):
        lines += draw(gaps)
        places[*where, index] = len(lines)
        lines.append(f'    "{text}",{draw(ends)}')
    return lines, places


@st.composite
def key_values(draw: st.DrawFn, key: str) -> Piece:
    """A key with a value of any kind that spans one line or several."""
    kind = draw(st.sampled_from(("number", "string", "long string", "array", "inline table", "array in a table")))
    end = draw(ends)
    match kind:
        case "number":
            return [f"{key} = 1_000{end}"], {(key,): 0}
        case "string":
            return [f'{key} = "{draw(strings)}"{end}'], {(key,): 0}
        case "long string":
            quotes = draw(st.sampled_from(('"""', "'''")))
            texts = [text for text in draw(st.lists(strings, max_size=4)) if text != quotes]
            return [f"{key} = {quotes}", *texts, quotes + end], {(key,): 0}
        case "inline table":
            return [f"{key} = {{ a = 1, b.c = 2 }}{end}"], dict.fromkeys([(key,), (key, "a"), (key, "b", "c")], 0)
        case "array":
            lines, places = draw(items((key,)))
            return [f"{key} = [{end}", *lines, "]"], {(key,): 0, **shifted(places, 1)}
        case _:
            lines, places = draw(items((key, "b")))
            return [f"{key} = {{ a = 1, b = [{end}", *lines, "] }"], {(key, "b"): 0, **shifted(places, 1)}


@st.composite
def tables(draw: st.DrawFn, header: str, where: Location) -> Piece:
    """A table's header, if any, and its keys."""
    lines = [*draw(gaps), header] if header else []
    places: dict[Location, int] = {where: len(lines) - 1} if header else {}
    for index in range(draw(st.integers(1, 3))):
        lines += draw(gaps)
        more, inside = draw(key_values(f"k{index}"))
        places |= {(*where, *place): len(lines) + line for place, line in inside.items()}
        lines += more
    return lines, places


@st.composite
def files(draw: st.DrawFn) -> Piece:
    """Keys, tables, arrays of tables, and tables in these."""
    pieces = [draw(tables("", ()))]
    pieces += [draw(tables(f"[t{index}]", (f"t{index}",))) for index in range(draw(st.integers(0, 2)))]
    for index in range(draw(st.integers(0, 3))):
        pieces.append(draw(tables("[[r]]", ("r", index))))
        if draw(st.booleans()):
            pieces.append(draw(tables("[r.sub]", ("r", index, "sub"))))
    lines: list[str] = []
    places: dict[Location, int] = {}
    for more, inside in pieces:
        places |= shifted(inside, len(lines))
        lines += more
    return lines, places


def shifted(places: dict[Location, int], n_lines: int) -> dict[Location, int]:
    return {place: line + n_lines for place, line in places.items()}


@settings(max_examples=300, deadline=None)
@given(files(), st.data())
def test_the_line_of_a_value_is_found(file: Piece, data: st.DataObject) -> None:
    lines, places = file
    text = "\n".join(lines)
    where = data.draw(st.sampled_from(sorted(places, key=str)))
    assert line_of(text, where) == places[where] + 1
    assert line_of(text, (*where, "missing")) == places[where] + 1


def test_the_line_of_a_value_deep_in_arrays_of_tables_is_found() -> None:
    text = 'rung = [\n  { name = "a", recipe = { network = [\n    "conv 8",\n    "gap",\n  ], epochs = 3 } },\n]\n'
    assert line_of(text, ("rung", 0, "recipe", "network", 1)) == 4


def test_the_line_of_nothing_is_the_first() -> None:
    assert line_of("a = 1\nb = 2\n", ()) == 1
    assert line_of("a = 1\nb = 2\n", ("missing",)) == 1


@pytest.mark.parametrize(
    ("bottom", "change"),
    [
        ('block = "conv relu norm"', "change.dropout = 0.5"),
        ("", 'change.schedule = { kind = "step", every_epochs = 3 }'),
        ("optimizer = { momentum = 0.0 }", "change.optimizer = { momentum = 0.0, nesterov = true }"),
        (
            'optimizer = { kind = "muon", momentum = 0.0 }',
            'change.optimizer = { kind = "muon", momentum = 0.0, nesterov = false }',
        ),
        ("", 'change.network = ["conv 4 block conv relu norm dropout", "gap", "linear 10"]'),
        ("", "change.clean_epochs = 2"),
        ('block = "conv relu"', "change.norm_scale = false"),
        ('block = "conv relu"', "change.recalibrate_images = 1000"),
        ("recalibrate_images = 65", "change.recalibrate_images = 128"),
        ("augment = { scale = 0.1 }\nclean_epochs = 3", "change.augment = { scale = 0.2 }"),
    ],
)
def test_a_change_without_effect_is_no_change(tmp_path: Path, bottom: str, change: str) -> None:
    path = tmp_path / "ladder.toml"
    path.write_text(
        'name = "x"\nbudget = { params = 9999, epochs = 9 }\ntarget = { accuracy = 9, last_epochs = 1 }\n'
        '[[rung]]\nname = "a"\nwhy = "b"\n'
        f'[rung.recipe]\nnetwork = ["conv 4", "gap", "linear 10"]\nepochs = 3\n{bottom}\n'
        f'[[rung]]\nname = "c"\nwhy = "d"\n{change}\n'
    )
    with pytest.raises(LadderError, match=r"ladder\.toml:\d+: rung 'c' changes \w+ without any effect"):
        ladder_file.load(path)


def test_the_line_of_an_error_in_a_long_ladder_is_found_at_once(tmp_path: Path) -> None:
    """600 rungs: parsing every head of this file would take minutes."""
    path = tmp_path / "long.toml"
    rungs = "".join(f'[[rung]]\nname = "r{n}"\nwhy = "w"\nchange.lr = {0.1 + n / 1000}\n' for n in range(600))
    head = 'name = "x"\nbudget = { params = 9999, epochs = 9 }\ntarget = { accuracy = 9, last_epochs = 1 }\n'
    bottom = '[[rung]]\nname = "a"\nwhy = "b"\nrecipe = { network = ["conv 4", "gap", "linear 10"], epochs = 3 }\n'
    path.write_text(head + bottom + rungs + '[[rung]]\nname = "last"\nwhy = "w"\nchange.lrr = 1.0\n')
    with pytest.raises(LadderError, match=r"long\.toml:2411: rung 602, change\.lrr: unknown field 'lrr'"):
        ladder_file.load(path)


# Comparisons that are declared ahead.


def test_a_ladder_is_taken_to_grow_to_five_comparisons_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert ladder_file.load(save(tmp_path, TOP)).comparisons == 5
    assert ladder_file.load(save(tmp_path, "comparisons = 12\n" + TOP)).comparisons == 12
    assert ladder_file.load(save(tmp_path, "comparisons = 1\n" + TOP)).comparisons == 1
    assert all(ladder_file.load(name).comparisons == 5 for name in ("mnist-8k", "mnist-1000"))


@pytest.mark.parametrize("value", ["0", "-1", "10_001", "2.5", "true", '"5"', "[5]"])
def test_comparisons_that_are_no_number_of_them_are_refused(tmp_path: Path, value: str) -> None:
    assert refusal(tmp_path, f"comparisons = {value}  <--\n{TOP}").startswith("comparisons: ")


KINDS = {
    'schedule = { kind = "stepp", every_epochs = 2 }': 0,
    "schedule.every_epochs = 2\nschedule.kind = 'stepp'": 1,
    "[rung.change.schedule]\nevery_epochs = 2\n\nkind = 'stepp'": 3,
    "[rung.change.optimizer]\n# by hand\nkind = 'sdg'": 2,
    "[rung.change.loss]\nlabel_smoothing = 0.1\nkind = 'cross'": 2,
}


@pytest.mark.parametrize(("change", "below"), KINDS.items(), ids=str)
def test_a_kind_that_there_is_not_is_told_of_on_its_line(tmp_path: Path, change: str, below: int) -> None:
    change = change if change.startswith("[") else "change." + change.replace("\n", "\nchange.")
    path = tmp_path / "ladder.toml"
    before = (TOP + SECOND).count("\n")
    path.write_text(TOP + SECOND + change + "\n")
    with pytest.raises(LadderError) as refused:
        ladder_file.load(path)
    assert str(refused.value).startswith(f"{path}:{before + 1 + below}: rung 2, change.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\n# a """\nabout = "it\'s"\nwhy = """a\n\nb = 1\n', '4: not a TOML file: the """ in the line'),
        ("name = 'x'\nwhy = '''a\nb = 1 # \"\"\"", "2: not a TOML file: the ''' in the line"),
        ('name = """x"""\nwhy = "a" # \'\'\'\nabout = """a', '3: not a TOML file: the """ in the line'),
        ("[budget]\nparams = " + "9" * 5000, "2: params is a whole number of more than 64 bits: write a smaller one"),
        ("a = 1\nbudget = { epochs = -" + "9" * 9000 + " }", "2: epochs is a whole number of more than 64 bits: write"),
        ("[budget]\nparams = " + "9" * 30, "2: params is a whole number of more than 64 bits: write a smaller one"),
    ],
    ids=str,
)
def test_what_is_no_toml_is_told_of_where_it_begins(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ladder.toml"
    path.write_text(text)
    with pytest.raises(LadderError) as refused:
        ladder_file.load(path)
    assert str(refused.value).startswith(f"{path}:{message}")


def many(n_rungs: int, n_layers: int) -> str:
    layers = ", ".join(['"conv 8 1x1"'] * n_layers)
    rungs = "".join(f'[[rung]]\nname="r{n}"\nwhy="x"\nchange.lr={0.1 + n / 1e5}\n' for n in range(n_rungs - 1))
    top = re.sub(r"network = \[.*?\n\]", f'network = [{layers}, "gap", "linear 10"]', TOP, flags=re.DOTALL)
    return top + rungs


@pytest.mark.parametrize(
    ("n_rungs", "n_layers", "message"),
    [
        (2001, 2, "a ladder has at most 2,000 rungs, and this one 2,001: split it into several files"),
        (1, 5000, "a network has at most 5,000 layers, and this one 5,002: give it fewer"),
        (500, 500, "500 rungs of up to 502 layers: a ladder has at most 100,000 in all: split it into several files"),
    ],
)
def test_a_ladder_that_takes_too_long_to_look_at_is_refused(
    tmp_path: Path, n_rungs: int, n_layers: int, message: str
) -> None:
    path = tmp_path / "ladder.toml"
    path.write_text(many(n_rungs, n_layers))
    with pytest.raises(LadderError, match=re.escape(message)):
        ladder_file.load(path)


def test_rungs_that_share_a_network_share_what_is_known_of_it(tmp_path: Path) -> None:
    path = tmp_path / "ladder.toml"
    path.write_text(many(100, 300))
    rungs = ladder_file.load(path).rungs
    networks = {id(rung.network(ImageShape(channels=1, size=28, n_classes=10))) for rung in rungs}
    assert len(networks) == 1
