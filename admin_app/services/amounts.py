"""Amounts of money as people write and read them; kept and counted as whole numbers of a currency's smallest unit."""

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, cast, func

from admin_app.errors import InvalidInput

# Currencies whose smallest unit is the whole one, and those that have thousandths, as Stripe counts them.
WHOLE_CURRENCIES = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
THOUSANDTHS = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
MOST = 999_999_999_999  # Stripe takes amounts of up to twelve digits
_WRITTEN = re.compile(r"(\d{1,12})(?:[.,](\d{1,3}))?", re.ASCII)


def decimals(currency: str | None) -> int:
    """How many digits a currency has behind the point."""
    code = (currency or "").upper()
    return 0 if code in WHOLE_CURRENCIES else 3 if code in THOUSANDTHS else 2


@lru_cache(maxsize=4096)
def money_text(minor_units: int, currency: str | None) -> str:
    """An amount with its currency, as in `1,234.50 EUR`."""
    sign = "-" if minor_units < 0 else ""
    return f"{sign}{_digits(abs(minor_units), currency, ',')} {(currency or '').upper()}".rstrip()


def major_units(minor_units: int, currency: str | None) -> str:
    """An amount as it is written into a form: `1234.50`."""
    return _digits(minor_units, currency, "")


def _digits(minor_units: int, currency: str | None, thousands: str) -> str:
    places = decimals(currency)
    whole, rest = divmod(minor_units, 10**places)
    text = f"{whole:,}".replace(",", thousands)
    return f"{text}.{rest:0{places}}" if places else text


def summed(amount: Any, *, only: ColumnElement[bool] | None = None) -> ColumnElement[int]:
    """The sum of amounts, of the rows for which `only` holds, as a whole number: PostgreSQL adds `bigint` as `numeric`.

    None where there is no row.
    """
    whole = func.sum(amount)
    return cast(whole if only is None else whole.filter(only), BigInteger)


def minor_units(text: str, currency: str | None, *, field: str = "amount") -> int:
    """What was written, in the smallest unit; refused when it is no amount of this currency."""
    places = decimals(currency)
    found = _WRITTEN.fullmatch(text.strip())
    rest = (found[2] or "") if found else ""
    amount = int(found[1]) * 10**places + int(rest.ljust(places, "0") or "0") if found and len(rest) <= places else 0
    if not 0 < amount <= MOST:
        example = major_units(10**places * 25, currency)
        sentence = f"This is not an amount in {(currency or '').upper()}. Write it like {example}, above zero."
        raise InvalidInput(sentence, fields={field: sentence})
    return amount
