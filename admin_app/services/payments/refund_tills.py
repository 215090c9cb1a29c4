"""Where money is given back: Stripe or Whop, each asked in its own way and told alike, in minor units."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Protocol

from admin_app.errors import OutcomeUnknown, ProviderUnavailable
from admin_app.integrations.money_ports import RefundsPort, RefundStatus
from admin_app.integrations.ports import WhopPort, WhopRefund
from admin_app.services.core.amounts import decimals
from admin_app.services.inbox.handling import NotConfigured
from admin_app.services.payments.refund_states import RefundSnapshot


class Till(Protocol):
    """One provider's. Both raise as `RefundsPort` does."""

    def refunds_of(self, reference: str, currency: str) -> Sequence[RefundSnapshot]:
        """Every refund of a payment, those made elsewhere included, oldest first."""

    def give_back(
        self, reference: str, *, amount: int, currency: str, reason: str, refund_id: int, idempotency_key: str
    ) -> Sequence[RefundSnapshot]:
        """Give back this much; answers the refund, perhaps among others of the payment."""


@dataclass(frozen=True)
class Tills:
    """The providers that are configured."""

    stripe: RefundsPort | None = None
    whop: WhopPort | None = None


def till_for(tills: Tills, provider: str) -> Till:
    """Raises NotConfigured when nobody can be asked."""
    if provider == "stripe" and tills.stripe is not None:
        return StripeTill(tills.stripe)
    if provider == "whop" and tills.whop is not None:
        return WhopTill(tills.whop)
    raise NotConfigured(provider)


@dataclass(frozen=True)
class StripeTill:
    """Refunds by Stripe; amounts are in minor units there too."""

    port: RefundsPort

    def refunds_of(self, reference: str, currency: str) -> Sequence[RefundSnapshot]:
        return self.port.refunds_of(reference)

    def give_back(
        self, reference: str, *, amount: int, currency: str, reason: str, refund_id: int, idempotency_key: str
    ) -> Sequence[RefundSnapshot]:
        made = self.port.create_refund(
            reference, amount=amount, reason=reason, refund_id=refund_id, idempotency_key=idempotency_key
        )
        return [made]


@dataclass(frozen=True)
class FromWhop:
    """Whop's refund in minor units."""

    id: str
    amount: int
    currency: str
    status: RefundStatus
    failure_code: str | None
    our_id: int | None
    created_at: datetime

    @classmethod
    def of(cls, snapshot: WhopRefund, currency: str) -> "FromWhop":
        amount = to_minor(snapshot.amount, currency)
        return cls(
            snapshot.id, amount, currency, snapshot.status, snapshot.failure_code, snapshot.our_id, snapshot.created_at
        )


@dataclass(frozen=True)
class WhopTill:
    """Refunds by Whop, which has amounts in major units and answers with the payment."""

    port: WhopPort

    def refunds_of(self, reference: str, currency: str) -> Sequence[RefundSnapshot]:
        return [FromWhop.of(snapshot, currency) for snapshot in self.port.refunds_of(reference)]

    def give_back(
        self, reference: str, *, amount: int, currency: str, reason: str, refund_id: int, idempotency_key: str
    ) -> Sequence[RefundSnapshot]:
        """Whop answers with the payment; which refund it made, and how that stands, has to be asked."""
        self.port.refund(
            reference,
            amount=to_major(amount, currency),
            reason=reason,
            refund_id=refund_id,
            idempotency_key=idempotency_key,
        )
        try:
            snapshots = self.refunds_of(reference, currency)
        except ProviderUnavailable:
            raise OutcomeUnknown("whop") from None
        if not any(each.our_id == refund_id for each in snapshots):
            raise OutcomeUnknown("whop")
        return snapshots


def to_minor(amount: Decimal, currency: str) -> int:
    """An amount in major units in the currency's smallest; what is finer than that is nobody's."""
    return int(amount.scaleb(decimals(currency)).to_integral_value(rounding=ROUND_DOWN))


def to_major(amount: int, currency: str) -> Decimal:
    """An amount in the smallest unit as the provider writes it, exactly."""
    return Decimal(amount).scaleb(-decimals(currency))
