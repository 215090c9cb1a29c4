"""Above how much a second person decides about a refund: an amount for each currency, for 200 yen are no 200 euros."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from admin_app.currencies import CURRENCIES, currency_of

_HOW = "Write it like EUR 200, JPY 30000: amounts as people write them, with commas between; 20000 alone means 200.00."


@dataclass(frozen=True)
class ApprovalLimits:
    """`amounts` are in minor units of their currency; `hundredths` of the main unit hold for a currency not named."""

    amounts: Mapping[str, int] = field(default_factory=dict)
    hundredths: int = 0

    @classmethod
    def read(cls, text: str) -> "ApprovalLimits":
        """What the setting says; raises ValueError with a sentence. Without a number alone, others' limit is nothing:
        each of their refunds waits."""
        amounts: dict[str, int] = {}
        hundredths: int | None = None
        for part in (each.split() for each in text.replace(":", " ").split(",") if each.strip()):
            if len(part) == 1 and part[0].isascii() and part[0].isdigit() and hundredths is None:
                hundredths = int(part[0])
            elif len(part) == 2 and part[0].upper() not in amounts:
                amounts[part[0].upper()] = _amount(*part)
            else:
                raise ValueError(f"This is no limit for refunds. {_HOW}")
        if not amounts and hundredths is None:
            raise ValueError(f"A limit for refunds is missing. {_HOW}")
        return cls(amounts, hundredths or 0)

    def above(self, currency: str) -> int:
        """The limit of this currency, in its minor units."""
        named = self.amounts.get(currency.upper())
        if named is not None:
            return named
        return int(self.hundredths * 10 ** currency_of(currency).decimals // 100)


Limit = ApprovalLimits | int


def limit_in(limit: Limit, currency: str) -> int:
    """The limit in minor units of this currency; a plain number is in them already."""
    return limit.above(currency) if isinstance(limit, ApprovalLimits) else limit


def _amount(code: str, text: str) -> int:
    if code.upper() not in CURRENCIES:
        raise ValueError(f"There is no currency {code.upper()} at Stripe. {_HOW}")
    counted = currency_of(code)
    try:
        amount = Decimal(text).scaleb(counted.decimals)
    except InvalidOperation:
        raise ValueError(f"{text} is not an amount in {counted.code}. {_HOW}") from None
    if not amount.is_finite() or amount < 0 or amount % counted.step:
        raise ValueError(f"{text} is not an amount in {counted.code}. {_HOW}")
    return int(amount)
