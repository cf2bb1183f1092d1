"""Curves of runs under way: what is new of each is told once, and an answer stays small however many there are."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TINY_LADDER
from playwright.sync_api import Browser, Page, expect
from records import make_epoch, make_run

from stepladder import Store, collect, load
from stepladder.climbing.climbing import Task, plan
from stepladder.engines import choose_engine
from stepladder.ladders.terms import Target
from stepladder.reporting.html.html_page import html_page
from stepladder.runs.run import Epoch
from stepladder.watching import growing
from stepladder.watching.growing import GrowingCurves
from stepladder.watching.live_page import LivePage

TASKS = plan(load("mnist-8k"), seeds=range(1, 4), engine=choose_engine()[0])
FIRST, OTHER = TASKS[:2]
MOST_BYTES = 150_000  # of an answer, at first; then it is what is new


def epochs(n: int) -> list[Epoch]:
    return [make_epoch(9_000 + k) for k in range(n)]


def test_each_epoch_is_told_once() -> None:
    curves = GrowingCurves()
    assert curves.hear(FIRST, epochs(2), change=1)
    assert not curves.hear(FIRST, epochs(2), change=2)
    assert curves.hear(OTHER, epochs(1), change=2)
    assert curves.hear(FIRST, epochs(5), change=3)
    points = {after: [each["points"] for each in curves.curves(after=after)] for after in (-1, 1, 2, 3)}
    assert points[-1] == [[(1, 90.0), (2, 90.01), (3, 90.02), (4, 90.03), (5, 90.04)], [(1, 90.0)]]
    assert points[1] == [[(3, 90.02), (4, 90.03), (5, 90.04)], [(1, 90.0)]]
    assert points[2] == [[(3, 90.02), (4, 90.03), (5, 90.04)], []]
    assert points[3] == [[], []]
    curves.leave(FIRST)
    assert [(each["number"], each["seed"]) for each in curves.curves(after=-1)] == [(2, 2)]
    assert curves.lines() == ["rung 'skeleton', seed 2: epoch 1 of 14, test 90.00%"]


def test_a_balanced_target_is_followed_by_what_it_speaks_of() -> None:
    balanced = replace(FIRST, rung=replace(FIRST.rung, target=Target(50, balanced=True)))
    half = make_epoch(9_000).model_copy(update={"confusion": ((8_000, 0), (1_000, 1_000))})
    curves = GrowingCurves()
    curves.hear(balanced, [half], change=1)
    (curve,) = curves.curves(after=-1)
    assert curve["points"] == [(1, 75.0)]
    assert curve["balanced"]
    assert curve["words"].endswith("test 75.00% balanced")


def of_many(n_rungs: int, n_seeds: int, *, n_epochs: int) -> list[Task]:
    """As a ladder of so many rungs and seeds has them."""
    recipe = FIRST.identity.recipe.model_copy(update={"epochs": n_epochs})
    return [
        Task(
            replace(FIRST.rung, name=f"rung-{number}-{'x' * 30}", recipe=recipe),
            FIRST.identity.model_copy(update={"recipe": recipe, "seed": 1_000 * number + seed}),
            1,
            1,
        )
        for number in range(n_rungs)
        for seed in range(n_seeds)
    ]


@pytest.mark.parametrize("n_epochs", [14, 900])
def test_answers_stay_small(n_epochs: int) -> None:
    """30 rungs and 100 seeds, all under way at once."""
    page = LivePage(lambda _: "")
    tasks = of_many(30, 100, n_epochs=n_epochs)
    page.planned({task.identity.key: (task, 0) for task in tasks}, 0)
    past = epochs(n_epochs - 1)
    for number, task in enumerate(tasks):
        page.advanced(task, epochs=past if number < 2 * growing.MOST_CURVES else past[:1])
    first = page.state(shown="0", after=-1, is_there=lambda: True)
    assert len(json.dumps(first)) < MOST_BYTES
    assert len(first["curves"]) == growing.MOST_CURVES
    assert first["lines"][-1] == "2,960 more runs under way."
    for curve in first["curves"]:
        assert curve["points"][-1] == (n_epochs - 1, 90.0 + (n_epochs - 2) / 100)
        assert len(curve["points"]) <= growing.MOST_POINTS
    page.advanced(tasks[0], epochs=[*past, make_epoch(9_990)])
    new = page.state(shown="0", after=first["change"], is_there=lambda: True)
    assert [each["points"] for each in new["curves"]] == [[(n_epochs, 99.9)]] + [[]] * 39
    page._server.server_close()


@pytest.fixture
def untrained(tmp_path: Path, digits: Path) -> tuple[LivePage, list[Task]]:
    """The live page of a ladder of three rungs, and its runs of three seeds."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_LADDER.format(data=str(digits), epochs=20))
    store = Store.open(tmp_path / "runs", create=True)
    page = LivePage(lambda live: html_page(collect(load(path), store), store=store, live=live))
    return page, plan(load(path), seeds=(1, 2, 3), engine=choose_engine()[0])


def shown(page: Page) -> list[tuple[str, list[int], list[str]]]:
    """Each chart: its rung, the points of its curves, and what stands below."""
    found: list[tuple[str, list[int], list[str]]] = page.locator("#live figure").evaluate_all(
        """all => all.map((each) => [
            each.querySelector("figcaption").textContent,
            [...each.querySelectorAll("polyline")].map((line) => line.points.numberOfItems).slice(1),
            [...each.querySelectorAll("p")].map((line) => line.textContent),
        ])"""
    )
    return [tuple(each) for each in found]  # type: ignore[misc]


def test_charts_come_and_go_with_their_runs(browser: Browser, untrained: tuple[LivePage, list[Task]]) -> None:
    live, tasks = untrained
    complaints: list[str] = []
    with live:
        live.planned({task.identity.key: (task, 0) for task in tasks}, 0)
        live.advanced(tasks[1], epochs=epochs(3))
        live.advanced(tasks[3], epochs=epochs(1))
        page = browser.new_page(viewport={"width": 400, "height": 900})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(live.url)
        page.locator("#live figure").nth(1).wait_for()
        assert [each[:2] for each in shown(page)] == [("start", [3]), ("dropout", [1])]
        live.advanced(tasks[0], epochs=epochs(2))  # another seed of the same rung
        page.get_by_text("seed 1: epoch 2 of 20").wait_for()
        start = ["rung 'start', seed 1: epoch 2 of 20, test 90.01%", "rung 'start', seed 2: epoch 3 of 20, test 90.02%"]
        assert shown(page)[0] == ("start", [2, 3], start)
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        live.finished(tasks[1], make_run(2, [9_100] * 20))
        page.get_by_text("1 of 9 runs are finished.").wait_for()
        expect(page.locator("#live figure p")).to_have_count(2)
        assert [each[:2] for each in shown(page)] == [("start", [2]), ("dropout", [1])]
    page.get_by_text("The climb has ended.").wait_for()
    expect(page.locator("#live figure")).to_have_count(0)
    page.close()
    assert not complaints
