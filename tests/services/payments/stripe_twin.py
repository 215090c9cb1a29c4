"""A `RefundsPort` in the test's own process: with memory, with idempotency keys, and with calls that go wrong.

The simulator does the same over HTTP (`tests/faults`); this one is for tests that need thousands of steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from admin_app.errors import DomainError, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.money_ports import RefundStatus, StripeRefund
from tests.services.factories import NOON

Fault = Literal["refused", "busy", "lost", "applied_then_lost"]


@dataclass
class StripeTwin:
    """`captured` is what each payment intent took; `faults` are used up by the next calls, first come first served."""

    captured: dict[str, int]
    status: RefundStatus = "succeeded"
    faults: list[Fault] = field(default_factory=list)
    made: list[StripeRefund] = field(default_factory=list)
    answers: dict[str, StripeRefund] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    silent: bool = False
    meanwhile: Callable[[], None] = lambda: None
    clock: Callable[[], datetime] = lambda: NOON

    def create_refund(
        self, payment_intent_id: str, *, amount: int, reason: str, refund_id: int, idempotency_key: str
    ) -> StripeRefund:
        self.keys.append(idempotency_key)
        fault = self.faults.pop(0) if self.faults else None
        if fault == "busy":
            raise ProviderUnavailable("stripe")
        if fault == "lost":
            raise OutcomeUnknown("stripe")
        if fault == "refused":
            raise ProviderRefused("stripe", "charge_already_refunded")
        if idempotency_key not in self.answers:
            made = self.make(payment_intent_id, amount, our_id=refund_id)
            self.answers[idempotency_key] = made
        self.meanwhile()
        if fault == "applied_then_lost":
            raise OutcomeUnknown("stripe")
        return self.answers[idempotency_key]

    def make(self, payment_intent_id: str, amount: int, our_id: int | None = None) -> StripeRefund:
        """A refund comes to be, by our call or at the dashboard."""
        if self.given_back(payment_intent_id) + amount > self.captured[payment_intent_id]:
            raise ProviderRefused("stripe", "charge_already_refunded")
        made = StripeRefund(
            id=f"re_{payment_intent_id}_{len(self.made)}",
            payment_intent_id=payment_intent_id,
            amount=amount,
            currency="eur",
            status=self.status,
            failure_code=None,
            our_id=our_id,
            created_at=self.clock(),
        )
        self.made.append(made)
        return made

    def become(self, refund_id: str, status: RefundStatus) -> None:
        """The bank decides."""
        code = "declined" if status == "failed" else None
        self.made = [
            replace(made, status=status, failure_code=code) if made.id == refund_id else made for made in self.made
        ]

    def given_back(self, payment_intent_id: str) -> int:
        alive = [made for made in self.made if made.status not in ("failed", "canceled")]
        return sum(made.amount for made in alive if made.payment_intent_id == payment_intent_id)

    def refunds_of(self, payment_intent_id: str) -> list[StripeRefund]:
        if self.silent:
            raise ProviderUnavailable("stripe")
        return [made for made in self.made if made.payment_intent_id == payment_intent_id]


def outcome(call: Callable[[], Any]) -> str:
    """What became of it, in a word: a refusal by its code."""
    try:
        call()
    except DomainError as refused:
        return refused.code
    return "done"
