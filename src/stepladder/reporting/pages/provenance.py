"""Where results come from: what made them, when, from which images, and how often the test split was looked at."""

from collections.abc import Iterable

from stepladder._base.wording import n_of
from stepladder.ladders.evaluated import DataIdentity, data_identity
from stepladder.reporting.numbers import NOTHING
from stepladder.reporting.pages.check_page import dev_text
from stepladder.reporting.tables import duration
from stepladder.runs.results import Results
from stepladder.runs.run import EngineIdentity, Run

Facts = tuple[tuple[str, str], ...]


def provenance(results: Results) -> Facts:
    """Names and values, in words. Raises DataError if the images are missing or not those of the ladder."""
    ladder, identity = results.ladder, data_identity(results.ladder)
    runs = _runs_of(results)
    facts = [
        ("Ladder", ladder.name if ladder.source == ladder.name else f"{ladder.name} ({ladder.source})"),
        ("Images", f"{identity.name}, SHA-256 {identity.sha256}"),
        ("Evaluated on", _split(results, identity)),
        ("Engine", str(results.engine or NOTHING)),
        ("Runs", _runs(runs)),
        ("Seeds", _seeds(runs)),
        ("Trained on", _distinct(f"{run.provenance.cpu}, {run.provenance.platform}" for run in runs)),
        ("Versions", _distinct(map(_versions, runs))),
        ("Finished", _finished(runs)),
    ]
    if results.others:
        apart = "; ".join(f"{n} by {engine}" for engine, n in results.others.items())
        facts.append(("Kept apart", f"runs of other engines: {apart}"))
    return tuple(facts)


def _runs_of(results: Results) -> list[Run]:
    """All runs, once each: rungs of equal recipes share theirs. A rung's runs are of one experiment, named once."""
    runs: dict[tuple[str, int, EngineIdentity], Run] = {}
    for result in results.trained:
        experiment = result.runs[0].identity.experiment if result.runs else ""
        runs |= {(experiment, run.identity.seed, run.identity.engine): run for run in result.runs}
    return list(runs.values())


def _split(results: Results, identity: DataIdentity) -> str:
    if results.ladder.evaluate_on == "test":
        return f"test, looked at {n_of(results.n_test_looks, 'time')} by these rungs' runs"
    return f"dev, {dev_text(identity.split, identity.dev_images)}; the test images were not looked at"


def _runs(runs: list[Run]) -> str:
    n_resumed = sum(run.provenance.n_resumed > 0 for run in runs)
    resumed = f", {n_resumed} of them resumed after an interruption" if n_resumed else ""
    trained = duration(sum(run.elapsed_s for run in runs)) if runs else "no time"
    return f"{len(runs)}{resumed}; {trained} of training and evaluation in all"


def _versions(run: Run) -> str:
    """All but the processor's features, of which there are a hundred."""
    told = sorted(run.provenance.versions.items())
    return ", ".join(f"{name} {version}" for name, version in told if name != "cpu-features")


def _finished(runs: list[Run]) -> str:
    times = sorted(run.provenance.finished_at for run in runs)
    return NOTHING if not times else times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"


def _distinct(texts: Iterable[str]) -> str:
    return "; ".join(sorted(set(texts))) or NOTHING


def _seeds(runs: list[Run]) -> str:
    seeds = sorted({run.identity.seed for run in runs})
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds)) or NOTHING
