"""What Stripe's documentation says of each currency: how amounts are counted and shown, and what can be charged.

Source: "Supported currencies", https://docs.stripe.com/currencies, its lists of zero-decimal currencies, special cases
and minimum and maximum charge amounts as of 2026-09-03; the three-decimal ones as of 2022-12-31, for the page lists
them no more. Everything that counts, shows or takes an amount reads it here, settings and simulator included.

Amounts are kept as Stripe counts them. HUF and TWD are whole in manual payouts only, of which the product makes none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_TWO_DECIMALS = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP
    CRC CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD KES KGS
    KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB
    PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS
    UAH USD UYU UZS WST XCD XCG YER ZAR ZMW
"""
_ZERO_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
# The last digit has to be 0, for Stripe's partners count hundredths.
_THREE_DECIMALS = "BHD JOD KWD OMR TND"
# Whole now, and counted in hundredths as before, which are always 00. UGX is in the list of zero-decimal ones as well.
_WHOLE_IN_HUNDREDTHS = "ISK UGX"

# The least that can be charged, in minor units, of an account that is paid out in it; of others none is told.
_LEAST_OF = {
    50: "USD ARS AUD BRL CAD CHF COP EUR IDR ILS INR NZD PHP RUB SGD ZAR JPY KRW",
    30: "GBP",
    200: "AED MYR PLN RON",
    250: "DKK",
    300: "NOK SEK",
    400: "HKD",
    1000: "MXN THB",
    1500: "CZK",
    17_500: "HUF",
}
_LEAST: Mapping[str, int] = {code: least for least, codes in _LEAST_OF.items() for code in codes.split()}
# The most that every way of paying takes, in minor units. Cards alone take up to MOST_BY_CARD.
_MOST: Mapping[str, int] = {"IDR": 999_999_999_999, "COP": 9_999_999_999, "INR": 999_999_999}
_MOST_OF_OTHERS = 99_999_999
MOST_BY_CARD = 999_999_999_999


@dataclass(frozen=True)
class Currency:
    """`decimals`: how many digits of an amount are behind the point, as Stripe counts it. `shown`: how many of these
    people write. An amount is a multiple of `step`; `least` (0: nothing is told) and `most` bound what is charged at
    once. All amounts in minor units.
    """

    code: str
    decimals: int = 2
    shown: int = 2
    step: int = 1
    least: int = 0
    most: int = _MOST_OF_OTHERS
    is_known: bool = True


def _currency(code: str) -> Currency:
    decimals, shown, step = 2, 2, 1
    if code in _ZERO_DECIMALS.split():
        decimals, shown = 0, 0
    if code in _THREE_DECIMALS.split():
        decimals, shown, step = 3, 3, 10
    if code in _WHOLE_IN_HUNDREDTHS.split():
        shown, step = 0, 100
    return Currency(code, decimals, shown, step, _LEAST.get(code, 0), _MOST.get(code, _MOST_OF_OTHERS))


CURRENCIES: Mapping[str, Currency] = {
    code: _currency(code)
    for code in f"{_TWO_DECIMALS} {_ZERO_DECIMALS} {_THREE_DECIMALS} {_WHOLE_IN_HUNDREDTHS}".split()
}


@lru_cache(maxsize=512)
def currency_of(code: str | None) -> Currency:
    """The currency under this code, in capitals or not; one that Stripe does not list counts hundredths, as most do."""
    wanted = (code or "").upper()
    return CURRENCIES.get(wanted) or Currency(wanted, is_known=False)
