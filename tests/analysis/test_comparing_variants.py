"""Variants are compared with the rung that they hang on, together with all that the ladder compares."""

from dataclasses import replace

import pytest
from made_up import results, star

from stepladder.analysis.attempts import tried
from stepladder.analysis.comparing import compare
from stepladder.reporting.data.compare_json import compare_dict
from stepladder.reporting.data.result_json import results_dict
from stepladder.reporting.pages.compare_page import compare_page, comparison_notes
from stepladder.reporting.pages.result_page import result_page
from stepladder.reporting.tables import Table

LOW, HIGH, WORSE = [9920, 9921, 9922, 9923] * 2, [9950, 9951, 9952, 9953] * 2, [9880, 9881, 9882, 9883] * 2
STAR = star(LOW, HIGH, HIGH, LOW, WORSE, on=(0, 0, 1), comparisons=4)


def test_each_is_compared_with_its_own_rung() -> None:
    found = [(each.below, each.rung, each.outcome) for each in compare(STAR)]
    assert found[0] == ("skeleton", "lighter", "better")
    assert found[1] == ("skeleton", "lr 1", "better")
    assert found[2][:2] == ("skeleton", "lr 2")
    assert found[2][2] in ("negligible", "undecided")
    assert found[3] == ("lighter", "lr 3", "worse")


def test_they_count_among_the_comparisons_of_the_ladder() -> None:
    """The interval of a step is as wide as with as many rungs on top, and wider than alone."""
    (alone,) = compare(results(LOW, HIGH, comparisons=1))
    five = compare(replace(STAR, ladder=replace(STAR.ladder, comparisons=1)))
    declared = compare(STAR)
    assert [each.interval for each in five] == [each.interval for each in declared]
    assert alone.interval is not None
    assert declared[0].interval is not None
    assert alone.interval[0] > declared[0].interval[0]


def test_whether_the_target_is_reached_is_about_the_top_rung() -> None:
    best = [9990] * 8
    assert not star(LOW, LOW, best, on=(1,)).reached
    assert star(LOW, best, LOW, on=(1,)).reached


def test_pages_have_a_table_of_them() -> None:
    page = compare_page(STAR)
    steps, variants, *_ = (part for part in page if isinstance(part, Table))
    assert [row[0] for row in steps.rows] == ["lighter"]
    assert [row[:3] for row in variants.rows] == [
        ("lr 1", "skeleton", "lr: 0.01 → 0.02"),
        ("lr 2", "skeleton", "lr: 0.01 → 0.03"),
        ("lr 3", "lighter", "lr: 0.01 → 0.04"),
    ]
    assert variants.header == ("variant", "on", "change", "seeds", "points", "verdict")
    assert (variants.tones[0, 5], variants.tones[2, 5]) == ("better", "worse")
    assert variants.rows[2][5].startswith("worse by 0.70 points")
    assert any("for 4 comparisons together" in part for part in page if isinstance(part, str))
    shown = [part for part in result_page(STAR) if isinstance(part, Table)]
    assert [row[:2] for row in shown[1].rows] == [("lr 1", "skeleton"), ("lr 2", "skeleton"), ("lr 3", "lighter")]
    assert shown[1].rows[2][5:7] == ("98.82", "0.01")


def test_one_rung_with_variants_has_no_table_of_steps() -> None:
    only = star(LOW, HIGH, on=(0,))
    titles = [part.title for part in compare_page(only) if isinstance(part, Table)]
    assert titles == ["Each variant against the rung that it hangs on", "Each rung against its target"]
    assert comparison_notes([], only.ladder) == ["One rung alone is compared with nothing."]


def test_machines_are_told_of_them() -> None:
    body = compare_dict(STAR)
    assert body["n_comparisons"] == 4
    assert [each["rung"] for each in body["comparisons"]] == ["lighter"]
    assert [(each["below"], each["rung"]) for each in body["variant_comparisons"]] == [
        ("skeleton", "lr 1"),
        ("skeleton", "lr 2"),
        ("lighter", "lr 3"),
    ]
    assert [(each["on"], each["name"], each["concepts"]) for each in results_dict(STAR)["variants"]][2] == (
        "lighter",
        "lr 3",
        ["lr"],
    )


def test_more_of_them_than_declared_are_told_of_as_the_star_that_they_are() -> None:
    grown = replace(STAR, ladder=replace(STAR.ladder, comparisons=2))
    (note,) = [each for each in comparison_notes(compare(grown), grown.ladder) if "was to have" in each]
    assert "This ladder was to have 2 comparisons, and has 4." in note


@pytest.mark.parametrize(("variant", "gained"), [(HIGH, True), (WORSE, False)])
def test_what_a_variant_tried_is_known_to_the_advice(variant: list[int], gained: bool) -> None:
    found = tried(star(LOW, LOW, variant, on=(1,)))
    assert next(each.gained for each in found.attempts if each.step == "higher lr") is gained
