"""The comparison with Stripe: sessions, refunds and disputes of the last weeks, and what is not final here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from admin_app.integrations.money_ports import StripePort, StripeUnreadable
from admin_app.integrations.stripe.checkout_snapshots import CheckoutSnapshot
from admin_app.services.drift import Ours, Thing, Unreadable, Values, drift_payments, drift_subscriptions
from admin_app.services.drift.drift_payments import PaymentThing
from admin_app.services.drift.drift_subscriptions import SubscriptionThing
from admin_app.services.inbox.provider_calls import Work

_PAYMENT, _SUBSCRIPTION, _MEMBERSHIP = "payment", "subscription", "membership"
_PAGES: Mapping[str, Callable[[Session, int, int], Sequence[tuple[int, str]]]] = {
    _PAYMENT: drift_payments.held,
    _SUBSCRIPTION: drift_subscriptions.held,
    _MEMBERSHIP: drift_subscriptions.held_memberships,
}


class StripeSide:
    """Stripe's side of a comparison: Checkout sessions, payments with refunds and disputes, and subscriptions."""

    provider = "stripe"

    def __init__(self, port: StripePort, clock: Callable[[], datetime]) -> None:
        self._port, self._clock = port, clock

    def listed(self, since: datetime) -> Iterator[Thing]:
        for session in self._port.sessions_since(since):
            yield (
                Unreadable(session.id)
                if isinstance(session, StripeUnreadable)
                else PaymentThing(CheckoutSnapshot(session))
            )
        told: set[str] = set()
        for found in (self._port.refunds_since(since), self._port.disputes_since(since)):
            for each in found:
                intent = each.payment_intent_id
                if intent is not None and intent not in told:
                    told.add(intent)
                    yield PaymentThing(CheckoutSnapshot(), named=intent)
        asked_at = self._clock()
        for subscription in self._port.subscriptions():
            if isinstance(subscription, StripeUnreadable):
                yield Unreadable(subscription.id)
            else:
                yield SubscriptionThing(subscription, asked_at)

    def whole(self, listed: Thing, work: Work) -> Thing:
        if isinstance(listed, SubscriptionThing | Unreadable):
            return listed
        if isinstance(listed, PaymentThing) and listed.told.session is not None:
            with work() as ctx:
                if drift_payments.is_alike(ctx.session, listed):
                    return listed
        return self.ask(listed.external_id) or listed

    def ask(self, external_id: str) -> Thing | None:
        if not _is_subscription(external_id):
            return drift_payments.ask(self._port, external_id)
        asked_at = self._clock()
        found = self._port.subscription(external_id)
        return None if found is None else SubscriptionThing(found, asked_at)

    def held(self, session: Session, since: datetime, after: str | None, limit: int) -> Sequence[tuple[str, str]]:
        """Payments first, then subscriptions of clients, then those of members."""
        kind, _, place = (after or f"{_PAYMENT}:0").partition(":")
        found: list[tuple[str, str]] = []
        for each in [*_PAGES][[*_PAGES].index(kind) :]:
            rows = _PAGES[each](session, int(place) if each == kind else 0, limit - len(found))
            found += [(f"{each}:{number}", identity) for number, identity in rows]
            if len(found) == limit:
                break
        return found

    def ours(self, session: Session, ids: Sequence[str]) -> Ours | None:
        if _is_subscription(ids[0]):
            return drift_subscriptions.ours(session, ids[0])
        return drift_payments.ours(session, ids)

    def differing(self, ours: Ours, theirs: Values, now: datetime) -> Sequence[str]:
        if ours.subject.startswith(f"{_PAYMENT}:"):
            return drift_payments.differing(ours, theirs)
        return drift_subscriptions.differing(ours, theirs)


def _is_subscription(external_id: str) -> bool:
    return external_id.startswith("sub_")
