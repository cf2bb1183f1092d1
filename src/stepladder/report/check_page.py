"""A check as a page of text and tables."""

from collections.abc import Iterable, Sequence

from stepladder.checking import Check, CheckedRung, Estimate
from stepladder.geometry import LayerGeometry, Network
from stepladder.report.tables import Page, Table, changes, compound_notes, duration, target_text


def check_page(check: Check) -> Page:
    """All that ``stepladder check`` shows."""
    info, ladder = check.info, check.ladder
    shape = info.image
    return [
        f"{ladder.name}: {' '.join(ladder.about.split())}",
        f"Data: {info.name}, {info.n_train:,} + {info.n_test:,} images of {shape.channels} x {shape.size} x"
        f" {shape.size}, {shape.n_classes} classes; evaluated on {ladder.evaluate_on}.",
        _split_text(check),
        *(f"Note: {note}." for note in check.notes),
        f"SHA-256 of the images: {check.sha256}.",
        f"Target: {target_text(ladder.rungs[-1].target)}.",
        check_table(check.rungs),
        *(f"{rung.name}: {' '.join(rung.why.split())}" for rung in ladder.rungs),
        "",
        *compound_notes(ladder.rungs),
        *layer_tables(check.rungs),
        estimate_text(check.estimate),
    ]


def dev_text(rule: str, n: int) -> str:
    """Which images dev is, by the rule that chose them (split_rules)."""
    if rule == "given":
        return f"the set's own {n:,} validation images"
    if rule == "stratified":
        return f"{n:,} of the training images, the last of each class in proportion"
    return f"the last {n:,} of the training images"


def _split_text(check: Check) -> str:
    n_trained, n_evaluated = check.ladder.n_trained(check.info), check.ladder.n_evaluated(check.info)
    if check.split is None:
        return f"All {n_trained:,} training images train; evaluated on the {n_evaluated:,} test images."
    if check.split == "given":
        return f"The set's own {n_evaluated:,} validation images are the validation split (dev), {n_trained:,} train."
    how = "the last of each class in proportion" if check.split == "stratified" else "the last ones"
    return f"{n_evaluated:,} of the training images, {how}, are the validation split (dev), {n_trained:,} train."


def check_table(rungs: Sequence[CheckedRung]) -> Table:
    """A ladder's rungs, their sizes and budgets."""
    words = changes([checked.rung for checked in rungs])
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
        dropped_first=(4, 3, 5),
    )


def _check_row(checked: CheckedRung, word: str) -> tuple[str, ...]:
    rung, network = checked.rung, checked.network
    return (
        rung.name,
        word,
        f"{network.params:,}",
        f"{rung.budget.params:,}",
        f"{network.macs:,}",
        str(network.receptive_field),
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
        title=f"{title}: {network.params:,} parameters, receptive field {network.receptive_field}",
        header=header,
        rows=tuple(_layer_row(row) for row in network.rows),
        numeric=frozenset(range(len(header))) - {1},
        dropped_first=(13, 2, 8, 10, 5),
    )


def _layer_row(row: LayerGeometry) -> tuple[str, ...]:
    sizes = (row.in_size, row.kernel, row.padding, row.stride, row.out_size)
    field = (row.jump_in, row.jump_out, row.rf_in, row.rf_out)
    return (
        str(row.index + 1),
        row.operation,
        str(row.out_channels),
        *map(str, sizes),
        *map(str, field),
        f"{row.params:,}",
        f"{row.macs:,}",
    )


def estimate_text(estimate: Estimate) -> str:
    basis = (
        "at the speed measured in this store" if estimate.measured else "at a typical speed; nothing measured here yet"
    )
    processes = f"{estimate.jobs} process{'es' if estimate.jobs > 1 else ''}"
    runs = f"{estimate.n_runs} run{'s' if estimate.n_runs > 1 else ''}"
    return f"From nothing, a climb of {runs} takes about {duration(estimate.elapsed_s)} on {processes} ({basis})."
