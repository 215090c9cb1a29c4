"""Amounts read and write the same in every currency."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from admin_app.currencies import currency_of
from admin_app.errors import InvalidInput
from admin_app.services.core.amounts import MOST, major_units, minor_units, money_text


@pytest.mark.parametrize(
    ("written", "currency", "amount"),
    [
        ("9999999999.99", "eur", MOST),
        ("12.5", "eur", 1250),
        ("12,50", "EUR", 1250),
        (" 7 ", "usd", 700),
        ("700", "jpy", 700),
        ("1.23", "kwd", 1230),
    ],
)
def test_what_is_written_is_counted(written: str, currency: str, amount: int) -> None:
    assert minor_units(written, currency) == amount


@pytest.mark.parametrize(
    ("written", "currency"),
    [
        ("", "eur"),
        ("0", "eur"),
        ("-5", "eur"),
        ("1.234", "eur"),
        ("1.5", "jpy"),
        ("1,000.00", "eur"),
        ("1e3", "eur"),
        ("٣", "eur"),
        ("99999999999.99", "eur"),
        ("9" * 13, "jpy"),
    ],
)
def test_what_is_no_amount_is_refused_with_an_example(written: str, currency: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        minor_units(written, currency)
    assert currency.upper() in refused.value.fields["amount"]


@given(some.integers(1, MOST), some.sampled_from(("eur", "jpy", "kwd", "ugx")))
def test_an_amount_survives_being_written(amount: int, currency: str) -> None:
    amount -= amount % currency_of(currency).step
    assert not amount or minor_units(major_units(amount, currency), currency) == amount


def test_amounts_are_shown_with_their_currency() -> None:
    assert money_text(123450, "eur") == "1,234.50 EUR"
    assert money_text(-5, "usd") == "-0.05 USD"
    assert money_text(1500, "jpy") == "1,500 JPY"
    assert money_text(1500, None) == "15.00"
