"""How numbers become text: one rule, whatever shows them."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.reporting.numbers import decimal, interval_text, percent, percents, points, share_text, spread_text

fractions = st.fractions(min_value=-100, max_value=100, max_denominator=100_000)


@given(fractions, st.integers(0, 6))
def test_a_number_is_rounded_half_to_even_on_its_exact_value(value: Fraction, decimals: int) -> None:
    text = decimal(value, decimals)
    assert Fraction(text) == round(value, decimals)
    assert len(text.partition(".")[2]) == decimals
    assert not text.startswith("-") or Fraction(text) < 0


@pytest.mark.parametrize(
    ("value", "text"), [("0.015", "0.02"), ("0.025", "0.02"), ("-0.015", "-0.02"), ("-0.001", "0.00")]
)
def test_halves_are_those_of_the_exact_value_and_not_of_the_nearest_binary_one(value: str, text: str) -> None:
    assert decimal(Fraction(value), 2) == text


@given(fractions)
def test_a_difference_is_shown_as_the_same_number_wherever_it_is_half_way(value: Fraction) -> None:
    shown = points(value)
    assert shown[0] in "+-"
    assert points(-value).lstrip("+-") == shown.lstrip("+-")
    assert Fraction(shown) != 0 or value == 0 or abs(value) < Fraction(1, 10**6)


@given(fractions.map(abs), st.integers(2, 4))
def test_a_percentage_is_below_its_target_in_text_if_it_is_below_it(value: Fraction, decimals: int) -> None:
    for target in (Decimal("99.4"), Decimal("50")):
        shown = Fraction(percent(value, target=target, decimals=decimals))
        assert (shown < Fraction(target)) == (value < Fraction(target))
        assert (shown == 100) == (value == 100)


def test_the_ends_of_intervals_keep_to_the_rule() -> None:
    assert percents((Fraction("99.3996"), Fraction("99.404")), target=Decimal("99.4")) == "99.39 to 99.40"
    assert percents((99.5674, 99.5866), decimals=3, between=", ") == "99.567, 99.587"
    assert interval_text((-0.004, 0.049999), worth=0.05) == "[-0.004000, 0.049999]"
    assert percents(None) == interval_text(None) == spread_text(None) == "–"


def test_a_spread_that_is_not_0_is_not_shown_as_0() -> None:
    assert [spread_text(each) for each in (0.0, 0.004, 0.0349, 0.1)] == ["0.00", "0.004", "0.03", "0.10"]
    assert spread_text(0.04875, decimals=3) == "0.049"


def test_only_none_is_no_share_and_only_all_is_all() -> None:
    assert [share_text(each) for each in (0.0, 0.004, 0.5, 0.9996, 1.0)] == ["0%", "0.4%", "50%", "99.96%", "100%"]
