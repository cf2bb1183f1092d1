"""The page of a climb that goes on."""

from collections.abc import Collection
from pathlib import Path

from stepladder.ladders.ladder import Plan
from stepladder.reporting.html.html_page import Live, html_page
from stepladder.reporting.writing import ablation_in
from stepladder.runs.results import collect
from stepladder.runs.run import EngineIdentity
from stepladder.runs.store import Store
from stepladder.watching.live_page import LivePage


def live_report(
    ladder: Plan, folder: Path, *, engine: EngineIdentity, seeds: Collection[int] | None, port: int
) -> LivePage:
    """The page of a climb that goes on, from what its store holds whenever somebody asks.

    Raises StepladderError if the port is taken.
    """

    def render(live: Live) -> str:
        store = Store.open(folder)
        results = collect(ladder, store, engine=engine, seeds=seeds)
        ablation, down = ablation_in(results, store)
        return html_page(results, store=store, ablation=ablation, down=down, live=live)

    return LivePage(render, port=port)
