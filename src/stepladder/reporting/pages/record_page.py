"""Records, and what became of one that was climbed again: as pages, as the header of a ladder, and for machines."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from statistics import mean, median
from typing import Any

from stepladder._base.wording import is_are, n_of, named_seeds, seeds_text
from stepladder.analysis.intervals import MOST_SEEDS
from stepladder.ladders.ladder import Plan
from stepladder.records.record import (
    Claim,
    HeldClaim,
    MeanClaim,
    Numbers,
    ParamsClaim,
    Record,
    WorstClaim,
    numbers_of,
    params_of,
)
from stepladder.records.reproducing import ClaimVerdict, Reproduction
from stepladder.records.seeds_to_tell import SeedsToTell, can_stand, fewest_below, fewest_new
from stepladder.reporting.data.check_json import SCHEMA_VERSION
from stepladder.reporting.numbers import NOTHING, interval_text, percent, percents, points, share_text, spread_text
from stepladder.reporting.pages.repeat_page import repeat_dict, repeat_page
from stepladder.reporting.tables import Page, Table, target_text

Records = Sequence[tuple[Record, Plan]]

NO_RECORDS = "No record is shipped yet."


def records_page(records: Records) -> Page:
    """All that ``stepladder reproduce`` shows without a name."""
    return [records_table(records)] if records else [NO_RECORDS]


def records_table(records: Records) -> Table:
    """The records with what their seeds add up to."""
    return Table(
        title="",
        header=(
            *("record", "ladder", "claims", "parameters", "epochs", "seeds", "test %", "95% interval", "± sd"),
            *("worst", "target", "held", "95% interval of the share", "engine", "finished"),
        ),
        rows=tuple(_record_row(record, ladder) for record, ladder in records),
        numeric=frozenset({3, 4, 6, 8, 9}),
        words=frozenset({2, 10, 13}),
        dropped_first=(14, 13, 12, 10, 4, 8, 7, 1),
    )


def _record_row(record: Record, ladder: Plan) -> tuple[str, ...]:
    found, top = numbers_of(record, ladder), ladder.rungs[-1]
    return (
        record.name,
        ladder.name,
        "; ".join(map(str, record.claims)),
        f"{params_of(ladder):,}",
        str(top.recipe.epochs),
        seeds_text(found.seeds),
        percent(found.mean, target=_claimed_mean(record), decimals=3),
        percents(found.mean_interval, target=_claimed_mean(record), decimals=3),
        spread_text(found.sd, decimals=3),
        percent(found.worst, target=_claimed_worst(record)),
        target_text(top.target),
        f"{found.n_held} of {len(found.seeds)}" + _diverged_text(found),
        _share_interval_text(found),
        str(record.engine),
        record.finished[1][:10],
    )


def _claimed_worst(record: Record) -> Decimal | None:
    """The worst accuracy that a record claims, None if it claims none: display never rounds up to it."""
    return next((claim.at_least for claim in record.claims if isinstance(claim, WorstClaim)), None)


def _claimed_mean(record: Record) -> Decimal | None:
    """The mean that a record claims, None if it claims none: display never rounds up to it."""
    return next((claim.at_least for claim in record.claims if isinstance(claim, MeanClaim)), None)


def _diverged_text(found: Numbers) -> str:
    return f" (diverged: {named_seeds(found.diverged)})" if found.diverged else ""


def _share_interval_text(found: Numbers) -> str:
    return NOTHING if found.held_interval is None else " to ".join(map(share_text, found.held_interval))


def header_text(record: Record, ladder: Plan) -> str:
    """What the file of the ladder says of its record, first of all."""
    found, top = numbers_of(record, ladder), ladder.rungs[-1]
    return (
        f"Record {record.name}: {'; '.join(map(str, record.claims))}. Top rung, {params_of(ladder):,} parameters, seeds"
        f" {seeds_text(found.seeds)}: {percent(found.mean, target=_claimed_mean(record), decimals=3)}%"
        f" (sd {spread_text(found.sd, decimals=3)}) of"
        f" the test images at the last of {top.recipe.epochs} epochs, worst"
        f" {percent(found.worst, target=_claimed_worst(record))}%; {target_text(top.target)} with"
        f" {found.n_held} of {len(found.seeds)}{_diverged_text(found)}. {record.engine}, {record.cpu},"
        f" {record.finished[1][:10]}."
    )


def reproduction_page(again: Reproduction) -> Page:
    """All that ``stepladder reproduce NAME`` shows."""
    n, of = len(again.found.seeds), len(again.claimed.seeds)
    seeds = [run.identity.seed for run in again.runs]
    table = Table(
        title=f"Record '{again.record.name}', climbed again with {named_seeds(seeds) if seeds else 'no seed'}",
        header=(
            "claim",
            "the claim",
            f"with {n_of(n, 'fresh seed')}",
            "95% interval",
            f"the record, {n_of(of, 'seed')}",
        ),
        rows=tuple(_verdict_row(verdict, again) for verdict in again.verdicts),
        numeric=frozenset(),
        words=frozenset({0, 2}),
        dropped_first=(4, 3),
    )
    return [table, *reproduction_notes(again)]


def seeds_note(record: Record, seeds: Sequence[int]) -> str:
    """Which seeds are about to be trained, and how many of them are the record's own."""
    n, n_own = len(seeds), sum(seed in record.seeds for seed in seeds)
    fresh = {0: "not in the record", n: "of the record's own, no fresh evidence"}.get(
        n_own, f"{n_own:,} of the record's own, the others not in it"
    )
    return f"record '{record.name}' is climbed with {n_of(n, 'seed')}, {fresh}: {named_seeds(seeds)}"


def _verdict_row(verdict: ClaimVerdict, again: Reproduction) -> tuple[str, ...]:
    n, outcome = len(again.found.seeds), str(verdict.outcome)
    if outcome == "cannot be told":
        outcome += f" with {n_of(n, 'seed') if n else 'no fresh seed'}"
    outcome += needed_text(verdict, again.found)
    return (str(verdict.claim), outcome, *_found_texts(verdict, again.found), _recorded_text(verdict, again.claimed))


def needed_text(verdict: ClaimVerdict, found: Numbers) -> str:
    """How many seeds would tell what these do not, or that none can; empty where nothing is known, or needed."""
    if verdict.outcome == "cannot be told" and not can_stand(verdict.claim, found):
        return f"; {_only_fails(verdict.claim, found)}"
    if verdict.needed is None:
        return ""
    if verdict.claim.kind == "worst":
        return f"; {verdict.needed.least:,} would if none is below"
    return f"; {_range_text(verdict.needed)}"


def _range_text(needed: SeedsToTell) -> str:
    if needed.least is None:
        return f"it takes more than {MOST_SEEDS:,}"
    if needed.most is None:
        return f"it takes {needed.least:,} or more"
    if needed.least == needed.most:
        return f"about {needed.least:,} would"
    return f"about {needed.least:,} to {needed.most:,} would"


def _only_fails(claim: Claim, found: Numbers) -> str:
    """Why no further seeds can make a claim stand."""
    if isinstance(claim, WorstClaim):
        return "as a seed is below, it can only fail"
    if isinstance(claim, MeanClaim) and found.diverged:
        return "as a seed diverged, it can only fail"
    return "no number of seeds can show 100%, it can only fail"


def _found_texts(verdict: ClaimVerdict, found: Numbers) -> tuple[str, str]:
    """What the fresh seeds gave, and the interval that the outcome follows from."""
    n, claim = len(found.seeds), verdict.claim
    shares = NOTHING if verdict.interval is None else " to ".join(map(share_text, verdict.interval))
    match claim:
        case ParamsClaim():
            return f"{int(verdict.value or 0):,}", NOTHING
        case _ if not n:
            return NOTHING, NOTHING
        case HeldClaim():
            return f"{found.n_held} of {n}{_diverged_text(found)}", shares
        case WorstClaim():
            text = f"{verdict.n_missed} of {n} below{_diverged_text(found)}"
            return text + (f", worst {percent(found.worst, target=claim.at_least)}%" if found.worst else ""), shares
        case MeanClaim() if found.diverged:
            return f"no mean{_diverged_text(found)}", NOTHING
        case MeanClaim():
            interval = percents(verdict.interval, target=claim.at_least, decimals=3)
            return f"{percent(found.mean, target=claim.at_least, decimals=3)}%", interval


def _recorded_text(verdict: ClaimVerdict, claimed: Numbers) -> str:
    match verdict.claim:
        case ParamsClaim():
            return NOTHING
        case HeldClaim():
            return f"{claimed.n_held} of {len(claimed.seeds)}"
        case WorstClaim():
            return f"worst {percent(claimed.worst, target=verdict.claim.at_least)}%"
        case MeanClaim():
            return f"{percent(claimed.mean, target=verdict.claim.at_least, decimals=3)}%"


def reproduction_notes(again: Reproduction) -> Page:
    """How far the outcomes can be relied on, and what else the runs say."""
    notes: Page = [*bound_notes(again), f"Target: {target_text(again.ladder.rungs[-1].target)}."]
    if again.difference:
        difference, interval = again.difference
        notes.append(f"Mean against the record's: {points(difference)} points {interval_text(interval)} (95%, Welch).")
    notes += [_collapsed_text(seed, accuracy, again) for seed, accuracy in again.collapsed]
    if again.repeat:
        notes += repeat_page(again.repeat, again.record)
    engines = sorted({f"{run.identity.engine}, {run.provenance.cpu}" for run in again.runs})
    notes.append(f"Engine: {'; '.join(engines) or NOTHING}; the record's: {again.record.engine}, {again.record.cpu}.")
    return notes


def bound_notes(again: Reproduction) -> list[str]:
    """What errors the outcomes of the table may be of, and what its numbers of seeds mean; of what is there alone."""
    by_seeds = [each for each in again.verdicts if each.claim.kind != "params"]
    failing = {each.claim.kind for each in by_seeds if each.outcome == "fails"}
    standing = {each.claim.kind for each in by_seeds if each.outcome == "stands"}
    n, n_record = len(again.found.seeds), len(again.claimed.seeds)
    notes = []
    if failing:
        notes.append(
            "fails: the fresh seeds alone show it. A claim that is true fails in at most 2.5% of cases, looked at once"
            + (" (a mean: if seeds are spread normally, or with a tail to the worse)." if "mean" in failing else ".")
        )
    if "mean" in standing:
        notes.append(
            "stands, a mean: by its 95% interval. A mean below the claim would stand in at most 2.5% of cases if seeds"
            " are spread normally, but more often where a few collapse: if one seed in 20 does,"
            f" {n_of(n, 'seed')} show none of those in {0.95**n:.0%} of cases."
        )
    if "held" in standing:
        notes.append(
            "stands, a share: by its exact 95% interval. A share below the claim would stand in at most 2.5% of cases,"
            " however seeds are spread."
        )
    if n and any(each.claim.kind == "worst" for each in by_seeds):
        notes.append(_worst_note(n, n_record, stands="worst" in standing))
    if any(each.needed and each.claim.kind != "worst" for each in by_seeds):
        notes.append(
            "How many seeds would tell: enough for four of five cases, if further seeds are like the record's and the"
            " fresh ones. The fresh seeds that there are count among them."
        )
    return notes


def _worst_note(n: int, n_record: int, *, stands: bool) -> str:
    """When a claim of the worst seed stands, if it does, and when it fails."""
    fewest = fewest_below(n, n_record)
    refuted = (
        f"it fails if {fewest} of {n} {is_are(fewest)} below, which would be chance in at most 2.5% of cases."
        if fewest
        else f"it can fail from {n_of(fewest_new(n_record), 'fresh seed')} on."
    )
    if not stands:
        return f"a worst seed: {refuted}"
    return (
        f"stands, a worst seed: as many fresh seeds as the record's, {n_record}, have none below. That has no bound: if"
        f" 1% of all seeds are below, it still stands in {0.99 ** max(n, n_record):.0%} of cases. I{refuted[1:]}"
    )


def _collapsed_text(seed: int, accuracy: Fraction, again: Reproduction) -> str:
    """That one seed is far below all others, which a mean swallows."""
    others = [each for at, each in again.found.by_seed.items() if at != seed]
    without = (
        f"; the mean of the other {n_of(len(others), 'fresh seed')} is {percent(mean(others), decimals=3)}%"
        if others
        else ""
    )
    return (
        f"Seed {seed} collapsed: {percent(accuracy)}%, where the record's median is"
        f" {percent(median(again.claimed.accuracies))}%{without}. It counts as any other."
    )


def records_dict(records: Records) -> dict[str, Any]:
    """What ``stepladder reproduce --json`` prints without a name."""
    return {"schema_version": SCHEMA_VERSION, "records": [record_dict(record, ladder) for record, ladder in records]}


def record_dict(record: Record, ladder: Plan) -> dict[str, Any]:
    """One record, without its runs."""
    top = ladder.rungs[-1]
    return {
        "name": record.name,
        "ladder": ladder.name,
        "rung": top.name,
        "claims": [claim.model_dump(mode="json") for claim in record.claims],
        "params": params_of(ladder),
        "epochs": top.recipe.epochs,
        "target": top.target.model_dump(mode="json"),
        "engine": record.engine.model_dump(),
        "versions": record.versions,
        "cpu": record.cpu,
        "images": record.images,
        "finished": list(record.finished),
        **_numbers_dict(numbers_of(record, ladder)),
    }


def reproduction_dict(again: Reproduction) -> dict[str, Any]:
    """What ``stepladder reproduce NAME --json`` prints. Nothing is rounded."""
    return {
        "schema_version": SCHEMA_VERSION,
        "record": record_dict(again.record, again.ladder),
        "fresh": _numbers_dict(again.found),
        "claims": [_verdict_dict(verdict, again.found) for verdict in again.verdicts],
        "difference": again.difference and again.difference[0],
        "difference_interval": again.difference and list(again.difference[1]),
        "collapsed": [{"seed": seed, "accuracy": float(accuracy)} for seed, accuracy in again.collapsed],
        "repeat": again.repeat and repeat_dict(again.repeat),
        "fails": again.fails,
    }


def _numbers_dict(found: Numbers) -> dict[str, Any]:
    return {
        "seeds": list(found.seeds),
        "diverged": list(found.diverged),
        "test_final_mean": _number(found.mean),
        "test_final_mean_interval": found.mean_interval,
        "test_final_sd": found.sd,
        "test_final_min": _number(found.worst),
        "held": [found.n_held, len(found.seeds)],
        "held_interval": found.held_interval,
    }


def _verdict_dict(verdict: ClaimVerdict, found: Numbers) -> dict[str, Any]:
    return {
        "claim": verdict.claim.model_dump(mode="json"),
        "outcome": verdict.outcome,
        "value": _number(verdict.value),
        "interval": verdict.interval,
        "n_missed": verdict.n_missed,
        "p": verdict.p,
        "can_stand": can_stand(verdict.claim, found),
        "seeds_to_tell": verdict.needed and [verdict.needed.least, verdict.needed.most],
    }


def _number(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
