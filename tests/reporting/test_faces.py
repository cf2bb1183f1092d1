"""How values look in Python: a short repr, a line or a page in print, an escaped table in a notebook."""

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from made_up import LADDER, results

import stepladder as sl
from stepladder.networks.geometry import ImageShape
from stepladder.reporting.pages.check_page import check_page
from stepladder.reporting.pages.result_page import result_page
from stepladder.reporting.terminal import PLAIN_WIDTH, render

EIGHT = [9_900, 9_905, 9_910, 9_902, 9_907, 9_903, 9_904, 9_906]
FOUND = results(EIGHT, [n + 40 for n in EIGHT], EIGHT[:2])
HOSTILE = '<script>alert("1")</script>&\x1b[2J'
CHECKED = LADDER.check()
VALUES: dict[str, Any] = {
    "ladder": LADDER,
    "rung": LADDER.rungs[1],
    "plan": LADDER.top,
    "check": CHECKED,
    "network": LADDER.rungs[0].network(ImageShape(channels=1, size=28, n_classes=10)),
    "results": FOUND,
    "rung's results": FOUND.top,
    "run": FOUND.top.runs[0],
    "epoch": FOUND.top.runs[0].epochs[0],
    "verdict": sl.compare(FOUND)[0],
    "data set": sl.dataset("mnist"),
    "start": sl.ladder("mine", budget=sl.Budget(params=1, epochs=1), target=sl.Target(99)),
}
PICTURE = {"svg", "path", "polyline"}
DRAWN = [name for name, value in VALUES.items() if hasattr(value, "_repr_html_")]


class Tags(HTMLParser):
    """The tags of a text, which have to be closed in turn, and what stands between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.tags: set[str] = set()
        self.said: list[str] = []
        self.feed(text)
        assert not self.opened

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.opened.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


@pytest.mark.parametrize("name", VALUES)
def test_a_repr_is_short_and_says_what_it_is(name: str) -> None:
    shown = repr(VALUES[name])
    assert shown.startswith("<")
    assert 20 < len(shown) < 200
    assert "\n" not in shown


@pytest.mark.parametrize("name", [*DRAWN, "verdicts"])
def test_a_notebook_shows_a_table(name: str) -> None:
    value = sl.compare(FOUND) if name == "verdicts" else VALUES[name]
    found = Tags(value._repr_html_())
    assert (
        {"table", "tr", "th", "td"}
        <= found.tags
        <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "p", "strong"}
        | (PICTURE if name in ("results", "rung's results") else set())
    )


def test_results_have_a_small_curve_in_each_row() -> None:
    for value, n in ((FOUND, 3), (FOUND.top, 2)):
        shown = value._repr_html_()
        assert shown.count("<svg") == shown.count("<polyline") == n
        assert "accuracy by epoch, from " in shown
        assert len(shown) < 6_000
    bare = results([], [], [])
    assert "<svg" not in bare._repr_html_()
    assert "by epoch" not in bare._repr_html_()
    some = results(EIGHT, [], [])._repr_html_()  # a rung without runs has an empty cell
    assert some.count("<svg") == 1
    assert some.count("<td") == 3 * some.count("<th ")


def test_all_that_should_draw_itself_does() -> None:
    assert DRAWN == ["ladder", "plan", "check", "network", "results", "rung's results", "verdict"]


def test_no_text_of_a_person_is_taken_for_html() -> None:
    rungs = tuple(replace(rung, name=HOSTILE + rung.name, why=HOSTILE) for rung in LADDER.rungs[:3])
    ladder = replace(LADDER, name=HOSTILE, about=HOSTILE, rungs=rungs)
    found = replace(FOUND, ladder=ladder, rungs=tuple(map(lambda of, rung: replace(of, rung=rung), FOUND.rungs, rungs)))
    for value in (ladder, ladder.check(), found, found.top, sl.compare(found), sl.compare(found)[0]):
        tags = Tags(value._repr_html_())
        assert "script" not in tags.tags
        assert any('<script>alert("1")</script>&\\x1b[2J' in said for said in tags.said)
        assert "\x1b" not in repr(value) + str(value)


def test_a_verdict_is_one_line() -> None:
    first, second = map(str, sl.compare(FOUND))
    assert first.startswith("lighter against skeleton: better by 0.40 points [0.")
    assert (
        second
        == "dropout against lighter: not decided yet: 5 seeds are the least that could tell, and there are 8 and 2"
        or (second.startswith("dropout against lighter: "))
    )
    assert str(sl.compare(FOUND)).splitlines() == [first, second]


def test_what_is_printed_is_the_page_of_the_command() -> None:
    assert str(CHECKED) == render(check_page(CHECKED), width=PLAIN_WIDTH)
    assert str(FOUND) == render(result_page(FOUND), width=PLAIN_WIDTH)


def test_results_are_had_by_name_and_in_order() -> None:
    assert [each.rung.name for each in FOUND] == ["skeleton", "lighter", "dropout"]
    assert FOUND["lighter"] is FOUND.rungs[1]
    assert FOUND.top is FOUND["dropout"]
    with pytest.raises(sl.LadderError, match="no rung 'lightr' on 'mnist-8k'; did you mean 'lighter'"):
        FOUND["lightr"]
