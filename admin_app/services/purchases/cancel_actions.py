"""What can be asked of a provider about a membership's end, and what the provider says of it now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from admin_app.errors import ProviderUnavailable
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.integrations.ports import WhopMembership
from admin_app.integrations.registry import Providers
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.memberships.order import ENDLESS
from admin_app.services.memberships.rows import seller_of
from admin_app.services.purchases.stripe_subscriptions import LIVE, ends_with_period
from admin_app.services.subscriptions import billing_mapping
from models.memberships import PaymentProvider, ProviderMembership

# Whop's words for what gives no access and may still come to something.
_NOT_BEGUN = frozenset({"unresolved", "drafted"})


class CancelAction(StrEnum):
    """The operations of the journal of calls; the value is how a call is found again, too."""

    NOW = "membership.cancel_now"
    AT_END = "membership.cancel_at_period_end"
    BACK = "membership.uncancel"


WORDS: Mapping[CancelAction, str] = MappingProxyType(
    {
        CancelAction.NOW: "cancel it now",
        CancelAction.AT_END: "cancel it at the end of its period",
        CancelAction.BACK: "take its cancellation back",
    }
)
OPERATIONS = tuple(action.value for action in CancelAction)


@dataclass(frozen=True)
class Snapshot:
    """The membership as its provider has it, and when that was asked; `trouble`: why nobody knows.

    `once`: it is known here as paid once, which Whop does not say any more of one that is canceled.
    """

    provider: PaymentProvider
    asked_at: datetime
    found: WhopMembership | StripeSubscription | None = None
    trouble: str | None = None
    once: bool = False

    @property
    def is_live(self) -> bool:
        if isinstance(self.found, StripeSubscription):
            return self.found.status in LIVE
        return self.found is not None and self.found.status == "active"

    @property
    def is_over(self) -> bool:
        """Ended for good, as far as the provider goes: one that only waits for a payment can still be canceled."""
        if isinstance(self.found, StripeSubscription):
            return self.found.status in billing_mapping.OVER
        return self.found is not None and not self.is_live and self.found.provider_status not in _NOT_BEGUN

    @property
    def ends_with_period(self) -> bool:
        if isinstance(self.found, StripeSubscription):
            return ends_with_period(self.found)
        return self.found is not None and self.found.cancel_at_period_end

    @property
    def is_bought_once(self) -> bool:
        if not isinstance(self.found, WhopMembership):
            return False
        return self.found.rhythm in ENDLESS or (self.once and self.found.interval is None)

    @property
    def period_end(self) -> datetime | None:
        if isinstance(self.found, StripeSubscription):
            return self.found.current_period_end
        return self.found.period_end if self.found is not None else None

    @property
    def word(self) -> str:
        """The provider's own word for its state."""
        if isinstance(self.found, StripeSubscription):
            return self.found.status
        return (self.found.provider_status or self.found.status) if self.found is not None else ""

    def is_so(self, action: CancelAction) -> bool:
        """Whether nothing is left to do at the provider."""
        if action is CancelAction.NOW:
            return self.is_over
        if action is CancelAction.AT_END:
            return self.is_over or self.ends_with_period
        return not self.is_over and not self.ends_with_period and self.found is not None

    def may_come_back(self, now: datetime) -> bool:
        """Whether what is over can be given back: at Whop what was paid once, until the end that it had."""
        return self.is_bought_once and (self.period_end is None or self.period_end > now)


Ask = Callable[[], Snapshot]


def ask(providers: Providers, provider: PaymentProvider, external_id: str, *, once: bool) -> Snapshot:
    """The membership at its provider, outside of any transaction.

    Raises ProviderUnavailable when the provider does not answer or is not configured here.
    """
    # Before the call: what happened while it travelled may or may not be in the answer.
    asked_at = datetime.now(UTC)
    port = providers.whop if provider is PaymentProvider.WHOP else providers.stripe
    if port is None:
        sentence = f"{provider_name(provider.value)} is not configured here, so nothing can be asked of it."
        raise ProviderUnavailable(provider.value, sentence)
    if provider is PaymentProvider.WHOP and providers.whop is not None:
        return Snapshot(provider, asked_at, providers.whop.membership(external_id), once=once)
    found = providers.stripe.subscription(external_id) if providers.stripe is not None else None
    return Snapshot(provider, asked_at, found)


def ask_for_plan(providers: Providers, row: ProviderMembership) -> Snapshot:
    """The same for a page: what is in the way is told in a sentence, and not raised."""
    seller = seller_of(row)
    name = provider_name(seller.value)
    if row.external_id is None:
        nameless = f"Nobody ever told its id at {name}, so it can only be canceled there."
        return Snapshot(seller, datetime.now(UTC), trouble=nameless)
    try:
        return ask(providers, seller, row.external_id, once=row.rhythm in ENDLESS)
    except ProviderUnavailable as error:
        is_there = (providers.whop if seller is PaymentProvider.WHOP else providers.stripe) is not None
        silent = f"{name} does not answer, so nobody knows how the membership is there now. Try again in a minute."
        return Snapshot(seller, datetime.now(UTC), trouble=silent if is_there else error.sentence)
