"""What became of a record's own seeds that were trained again, and why a number may be another one."""

from typing import Any

from stepladder._base.wording import n_of, named_seeds
from stepladder.records.record import Record, SeedResult
from stepladder.records.reproducing import Repeat
from stepladder.reporting.tables import Page, Table
from stepladder.runs.conditions import TOGETHER, Condition

NOT_TOLD = "not told"
MOST_FEATURES = 12  # are named
WORDS = {
    "experiment": "recipe and images, by their hash",
    "engine": "engine",
    "revision": "the engine's revision",
    "numpy": "numpy",
    "numpy-instructions": "numpy's instructions",
    "cpu-target": "CPU that code is compiled for",
    "cpu-features": "its features",
    "l1-bytes": "its L1 data cache",
    "torch-instructions": "PyTorch's instructions",
    "cpu": "CPU by name",
    "together": "seeds trained at once",
}

OTHER = {
    "experiment": "another recipe or other images",
    "engine": "another engine",
    "revision": "another revision of the engine",
    "numpy": "another version of numpy",
    "numpy-instructions": "other instructions of numpy",
    "cpu-target": "another CPU that code is compiled for",
    "cpu-features": "other features of the CPU",
    "l1-bytes": "another size of the L1 data cache",
    "torch-instructions": "other instructions of PyTorch",
    "cpu": "another CPU by name",
}


def repeat_page(repeat: Repeat, record: Record) -> Page:
    """What is said of the record's own seeds; where a number is another one, both, and all that decides it."""
    text = repeat_text(repeat, record)
    if not repeat.different:
        return [text]
    numbers = Table(
        title="Images right after each of the last epochs",
        header=("seed", "the record", "here"),
        rows=tuple((str(there.seed), _result_text(there), _result_text(here)) for there, here in repeat.numbers),
        numeric=frozenset({0}),
        words=frozenset({1, 2}),
    )
    decisive = Table(
        title="What decides these numbers",
        header=("what", "the record", "here", ""),
        rows=tuple((WORDS[each.what], *_value_texts(each), each.state) for each in repeat.conditions),
        numeric=frozenset(),
        words=frozenset({1, 2}),
    )
    return [text, numbers, decisive]


def repeat_text(repeat: Repeat, record: Record) -> str:
    """Whether the record's own seeds came out the same; where they must and do not, that is said loudly."""
    seeds = sorted((*repeat.equal, *repeat.different))
    n, one = len(seeds), len(seeds) == 1
    apart = (
        "It is no fresh seed, and the claims are not judged by it."
        if one
        else "They are no fresh seeds, and the claims are not judged by them."
    )
    again = (
        f"Of the record's own {n_of(len(record.runs), 'seed')}, {n:,} {'was' if one else 'were'} trained again"
        f" ({named_seeds(seeds)})"
    )
    if not repeat.different:
        return (
            f"{again}: {'it repeats' if one else 'all repeat'} the record bit for bit, as far as a record has numbers"
            f" (images right after each of the last epochs). {apart}"
        )
    which, gives = named_seeds(repeat.different), "gives" if len(repeat.different) == 1 else "give"
    if repeat.must_be_equal:
        return (
            f"NOT REPEATED: {which} {gives} other numbers than the record, {len(repeat.different):,} of"
            f" {n_of(n, 'seed')} of its own that {'was' if one else 'were'} trained again, although all that decides"
            f" them is the same ({record.engine}, the CPU that code was compiled for, numpy). They must be equal bit"
            f" for bit: report it as a bug. {apart}"
        )
    return (
        f"{again}; {_repeats(len(repeat.equal))} it bit for bit. {which[0].upper()}{which[1:]} {gives} other numbers,"
        f" and they need not be equal: {'; '.join(reasons(repeat, record))}. {apart}"
    )


def _repeats(n: int) -> str:
    return {0: "none repeats", 1: "one repeats"}.get(n, f"{n:,} repeat")


def reasons(repeat: Repeat, record: Record) -> list[str]:
    """Why numbers may be other ones: what is not the same, and what is not known to be."""
    others = [
        f"{OTHER[each.what]} ({there} in the record, {here} here)"
        for each in repeat.conditions
        if each.state == "other"
        for there, here in [_value_texts(each)]
    ]
    found = [" and ".join(others)] if others else []
    if record.engine.device != "cpu":
        found.append("a GPU adds up in no fixed order")
    if any(each.what == TOGETHER for each in repeat.conditions):
        found.append("how many seeds were trained at once, which is not told, decides the last bits")
    others_of = [each for each in repeat.conditions if each.what != TOGETHER]
    untold_there = [WORDS[each.what] for each in others_of if each.there is None]
    untold_here = [WORDS[each.what] for each in others_of if each.here is None]
    if untold_there:
        found.append(f"the record does not tell {', '.join(untold_there)}, which may be others")
    if untold_here:
        found.append(f"the run here, an older one, does not tell {', '.join(untold_here)}, which may be others")
    return found


def _result_text(result: SeedResult) -> str:
    if result.diverged_at_epoch is not None:
        return f"diverged at epoch {result.diverged_at_epoch}"
    return ", ".join(f"{n:,}" for n in result.n_correct)


def _value_texts(condition: Condition) -> tuple[str, str]:
    """The record's value and the one here; of features only those that one of the two has alone."""
    both = condition.there, condition.here
    if condition.what == "cpu-features":
        there, here = (set((each or "").split()) for each in both)
        return _features_text(condition.there, there - here), _features_text(condition.here, here - there)
    return _value_text(condition.what, condition.there), _value_text(condition.what, condition.here)


def _features_text(told: str | None, alone: set[str]) -> str:
    if told is None:
        return NOT_TOLD
    words, n_more = sorted(alone)[:MOST_FEATURES], len(alone) - MOST_FEATURES
    words += [f"{n_more} more"] if n_more > 0 else []
    return n_of(len(told.split()), "feature") + (f" with {', '.join(words)}" if words else "")


def _value_text(what: str, value: str | None) -> str:
    if value is None:
        return NOT_TOLD
    return f"{int(value) / 1024:g} KiB" if what == "l1-bytes" and value.isdecimal() else value


def repeat_dict(repeat: Repeat) -> dict[str, Any]:
    """The same for machines."""
    return {
        "equal": list(repeat.equal),
        "different": list(repeat.different),
        "must_be_equal": repeat.must_be_equal,
        "conditions": [
            {"what": each.what, "record": each.there, "here": each.here, "state": each.state}
            for each in repeat.conditions
        ],
        "numbers": [
            {"seed": there.seed, "record": _result_dict(there), "here": _result_dict(here)}
            for there, here in repeat.numbers
        ],
    }


def _result_dict(result: SeedResult) -> dict[str, Any]:
    return result.model_dump(mode="json", exclude={"seed"})
