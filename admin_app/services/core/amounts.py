"""Amounts of money as people write and read them; kept and counted as whole numbers, as Stripe counts the currency."""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, cast, func

from admin_app.currencies import MOST_BY_CARD, Currency, currency_of
from admin_app.errors import InvalidInput

MOST = MOST_BY_CARD
_WRITTEN = re.compile(r"(\d{1,12})(?:[.,](\d{1,3}))?", re.ASCII)


def decimals(currency: str | None) -> int:
    """How many digits of an amount, as it is kept, are behind the point."""
    return currency_of(currency).decimals


@lru_cache(maxsize=4096)
def money_text(minor_units: int, currency: str | None) -> str:
    """An amount with its currency, as in `1,234.50 EUR`."""
    sign = "-" if minor_units < 0 else ""
    return f"{sign}{_digits(abs(minor_units), currency, ',')} {(currency or '').upper()}".rstrip()


def major_units(minor_units: int, currency: str | None) -> str:
    """An amount as it is written into a form: `1234.50`."""
    return _digits(minor_units, currency, "")


def _digits(minor_units: int, currency: str | None, thousands: str) -> str:
    places, shown = currency_of(currency).decimals, currency_of(currency).shown
    whole, rest = divmod(minor_units, 10**places)
    text = f"{whole:,}".replace(",", thousands)
    # Where people write no digits behind the point there should be none; were there some, they would not be hidden.
    return f"{text}.{rest:0{places}}" if places and (shown or rest) else text


def summed(amount: Any, *, only: ColumnElement[bool] | None = None) -> ColumnElement[int]:
    """The sum of amounts, of the rows for which `only` holds, as a whole number: PostgreSQL adds `bigint` as `numeric`.

    None where there is no row.
    """
    whole = func.sum(amount)
    return cast(whole if only is None else whole.filter(only), BigInteger)


def minor_units(text: str, currency: str | None, *, field: str = "amount") -> int:
    """What was written, as Stripe counts it; refused when it is no amount that this currency can be paid in."""
    counted = currency_of(currency)
    found = _WRITTEN.fullmatch(text.strip())
    rest = (found[2] or "") if found else ""
    is_fine = found is not None and len(rest) <= counted.shown
    amount = _count(found[1], rest, counted) if found and is_fine else 0
    if found and len(rest) > counted.shown == 0:
        raise _refused(f"{counted.code} is paid in whole units. Write it like {_example(counted)}.", field)
    if not 0 < amount <= MOST:
        raise _refused(
            f"This is not an amount in {counted.code}. Write it like {_example(counted)}, above zero.", field
        )
    if amount % counted.step:
        below = amount - amount % counted.step
        near = [major_units(each, currency) for each in (below, below + counted.step) if each]
        raise _refused(f"Stripe takes {counted.code} with a 0 as its last digit. Write {' or '.join(near)}.", field)
    return amount


def why_not_charged(amount: int, currency: str | None) -> str | None:
    """Why Stripe does not let this much be charged at once, in a sentence; None when it does."""
    counted = currency_of(currency)
    if amount < counted.least:
        return f"Stripe charges no less than {money_text(counted.least, currency)}."
    if amount > counted.most:
        return f"No more than {money_text(counted.most, currency)} can be charged at once by every way of paying."
    if amount % counted.step:
        return f"Stripe charges {counted.code} in steps of {money_text(counted.step, currency)}."
    return None


def _count(whole: str, rest: str, counted: Currency) -> int:
    return int(whole + rest.ljust(counted.decimals, "0"))


def _example(counted: Currency) -> str:
    return major_units(10**counted.decimals * 25, counted.code)


def _refused(sentence: str, field: str) -> InvalidInput:
    return InvalidInput(sentence, fields={field: sentence})
