"""A check as a page of text and tables."""

from collections.abc import Iterable, Sequence

from stepladder._base.wording import n_of
from stepladder.ladders.checking import Check, CheckedRung, Estimate, notes_of
from stepladder.ladders.ladder import Plan, Rung
from stepladder.networks.geometry import LayerGeometry, Network
from stepladder.networks.sides import text
from stepladder.recipes.recipe import SHORTHAND
from stepladder.reporting.tables import (
    VARIANTS,
    Entry,
    Page,
    Table,
    chain,
    change,
    changes,
    compound_notes,
    duration,
    hung,
    target_text,
)


def check_page(check: Check) -> Page:
    """All that ``stepladder check`` shows."""
    info, ladder = check.info, check.ladder
    shape = info.image
    return [
        Entry(ladder.name, ladder.about),
        f"Data: {info.name}, images of {shape.in_words}, {shape.n_classes} classes: {parts_text(check)}.",
        *(f"Note: {note}." for note in check.notes),
        f"SHA-256 of the images: {check.sha256}.",
        f"Target: {target_text(ladder.rungs[-1].target)}.",
        *check_tables(ladder, check.trained),
        *([SHORTHAND, ""] if any("network" in rung.changes for rung in ladder.trained) else []),
        *(Entry(rung.name, rung.why) for rung in ladder.trained),
        "",
        *compound_notes([*chain(ladder.rungs), *_hanging(ladder)]),
        *(f"Note: {note}." for note in notes_of(check.trained)),
        *layer_tables(check.trained),
        estimate_text(check.estimate),
    ]


def dev_text(rule: str, n: int) -> str:
    """Which images dev is, by the rule that chose them (split_rules)."""
    if rule == "given":
        return f"the set's own {n_of(n, 'validation image')}"
    if rule == "stratified":
        return f"{n:,} of the training images, the last of each class in proportion"
    return f"the last {n:,} of the training images"


def parts_text(check: Check) -> str:
    """Which of the images are trained on, which evaluated on, and which not used."""
    info, n_trained, n_evaluated = check.info, check.ladder.n_trained(check.info), check.ladder.n_evaluated(check.info)
    if check.split is None:
        return f"trained on all {n_trained:,} training images, evaluated on {n_of(n_evaluated, 'test image')}"
    return (
        f"trained on {n_of(n_trained, 'image')}, evaluated on the validation split (dev),"
        f" {dev_text(check.split, n_evaluated)}; {n_of(info.n_test, 'test image')} not used"
    )


def check_tables(ladder: Plan, trained: Sequence[CheckedRung]) -> list[Table]:
    """A ladder's rungs, and what hangs on them, if there is any: ``trained`` are both, as checking has them."""
    n, hanging = len(ladder.rungs), _hanging(ladder)
    if not hanging:
        return [check_table(trained)]
    variants = _check_table(trained[n:], [change(variant, below) for below, variant in hanging])
    on = [below.name for below, _ in hanging]
    return [check_table(trained[:n]), hung(variants, on, title=VARIANTS)]


def _hanging(ladder: Plan) -> list[tuple[Rung, Rung]]:
    """Each variant after the rung that it hangs on."""
    return [(ladder.rung(variant.on), variant.rung) for variant in ladder.variants]


def check_table(rungs: Sequence[CheckedRung]) -> Table:
    """A ladder's rungs, their sizes and budgets."""
    return _check_table(rungs, changes([checked.rung for checked in rungs]))


def _check_table(rungs: Sequence[CheckedRung], words: Sequence[str]) -> Table:
    return Table(
        title="",
        header=(
            "rung",
            "change",
            "parameters",
            "budget",
            "multiply-adds",
            "receptive field",
            "epochs",
            "within budget",
        ),
        rows=tuple(_check_row(checked, word) for checked, word in zip(rungs, words, strict=True)),
        numeric=frozenset({2, 3, 4, 5, 6}),
        words=frozenset({1}),
        dropped_first=(4, 5, 3),
        tones={(row, 7): "over" if checked.excess else "reached" for row, checked in enumerate(rungs)},
    )


def _check_row(checked: CheckedRung, word: str) -> tuple[str, ...]:
    rung, network = checked.rung, checked.network
    return (
        rung.name,
        word,
        f"{network.params:,}",
        f"{rung.budget.params:,}",
        f"{network.macs:,}",
        text(network.receptive_field),
        f"{rung.recipe.epochs} of {rung.budget.epochs}",
        "OVER" if checked.excess else "yes",
    )


def layer_tables(rungs: Iterable[CheckedRung]) -> list[Table]:
    """One layer and receptive-field table for each different network of a ladder."""
    by_network: dict[Network, list[str]] = {}
    for checked in rungs:
        by_network.setdefault(checked.network, []).append(checked.rung.name)
    return [layer_table(network, ", ".join(names)) for network, names in by_network.items()]


def layer_table(network: Network, title: str) -> Table:
    """The objective's receptive-field table, with channels, parameters and multiply-adds."""
    header = (
        *("layer", "operation", "channels", "input", "kernel", "padding", "stride", "output"),
        *("jump in", "jump out", "rf in", "rf out", "parameters", "multiply-adds"),
    )
    return Table(
        title=f"{title}: {network.params:,} parameters, receptive field {text(network.receptive_field)}",
        header=header,
        rows=tuple(_layer_row(row) for row in network.rows),
        numeric=frozenset(range(len(header))) - {1},
        dropped_first=(8, 10, 3, 5, 9, 13, 2),
    )


def _layer_row(row: LayerGeometry) -> tuple[str, ...]:
    sizes = (row.in_size, row.kernel, row.padding, row.stride, row.out_size)
    field = (row.jump_in, row.jump_out, row.rf_in, row.rf_out)
    return (
        str(row.index + 1),
        row.operation,
        str(row.out_channels),
        *map(text, (*sizes, *field)),
        f"{row.params:,}",
        f"{row.macs:,}",
    )


def estimate_text(estimate: Estimate) -> str:
    basis = (
        "at the speed measured in this store" if estimate.measured else "at a typical speed; nothing measured here yet"
    )
    processes, runs = n_of(estimate.jobs, "process", "processes"), n_of(estimate.n_runs, "run")
    begins = ""
    if estimate.preparing_s > 0.1 * estimate.elapsed_s:
        begins = f", about {duration(estimate.preparing_s)} of that to start and to compile"
    return (
        f"From nothing, a climb of {runs} takes about {duration(estimate.elapsed_s)} on {processes}{begins} ({basis})."
    )
