"""What the product asks of its providers, in its own words.

Plain frozen values (every time is aware UTC) and one protocol per provider. Adapters translate and decide
nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from admin_app.addresses import comparable
from admin_app.integrations.money_ports import RefundStatus

PlanDuration = Literal["monthly", "yearly"]
Rhythm = Literal["recurring", "one_time", "lifetime"]
# How often it is paid: so many days, weeks, months or years.
Interval = tuple[Literal["day", "week", "month", "year"], int]
EventKind = Literal["purchase", "ended", "cancellation", "ignored"]


@dataclass(frozen=True)
class WhopMembership:
    """A membership as Whop has it now. `price`: of its plan in minor units, 0 for one that is known to be free."""

    id: str
    user_id: str | None
    member_id: str | None
    email: str | None
    name: str | None
    status: Literal["active", "inactive"]
    plan_duration: PlanDuration | None
    period_start: datetime | None
    period_end: datetime | None
    cancel_at_period_end: bool
    created_at: datetime | None
    updated_at: datetime | None
    rhythm: Rhythm | None = None
    interval: Interval | None = None
    provider_status: str | None = None
    product_id: str | None = None
    plan_id: str | None = None
    price: int | None = None


@dataclass(frozen=True)
class WhopEvent:
    """A verified Whop delivery, whatever the shape it came in."""

    external_id: str
    type: str
    kind: EventKind
    occurred_at: datetime
    membership_id: str | None
    whop_user_id: str | None
    email: str | None
    name: str | None
    plan_duration: PlanDuration | None
    period_start: datetime | None
    period_end: datetime | None
    cancel_at_period_end: bool | None
    rhythm: Rhythm | None = None
    interval: Interval | None = None
    provider_status: str | None = None
    product_id: str | None = None
    plan_id: str | None = None
    price: int | None = None
    payment_id: str | None = None  # that it is about, or about a refund or dispute of


@dataclass(frozen=True)
class WhopRefund:
    """A refund as Whop has it now, in major units; `our_id` is the number of the row that asked for it."""

    id: str
    amount: Decimal
    currency: str
    status: RefundStatus
    failure_code: str | None
    our_id: int | None
    created_at: datetime


@dataclass(frozen=True)
class WhopPayment:
    """A payment as Whop has it now, in major units of `currency`. `refundable`: whether Whop gives any of it back."""

    id: str
    membership_id: str | None
    status: str  # Whop's own words: it may know new ones
    substatus: str | None
    total: Decimal
    refunded: Decimal
    currency: str
    refundable: bool
    paid_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class ClerkSession:
    """The person and session that a verified session token speaks for."""

    user_id: str
    session_id: str


@dataclass(frozen=True)
class ClerkEmail:
    """`id` is the provider's, by which it is changed; `linked`: it comes from an account elsewhere, at Google or so."""

    address: str
    verified: bool
    primary: bool
    id: str | None = field(default=None, compare=False)
    linked: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class ClerkUser:
    """A person of the sign-in provider with all their addresses.

    `asked_at` is when the provider was asked; None for a person of whom a delivery tells.
    """

    id: str
    name: str | None
    emails: tuple[ClerkEmail, ...]
    created_at: datetime | None
    updated_at: datetime | None = None
    asked_at: datetime | None = None
    banned: bool = False

    @property
    def verified_emails(self) -> frozenset[str]:
        """The verified addresses in the form in which they are compared."""
        return frozenset(comparable(email.address) for email in self.emails if email.verified)


@dataclass(frozen=True)
class ClerkEvent:
    """A verified Clerk delivery; `user` is None when the event does not carry one (a deletion, a session).

    `at` is when that which is no person was made; None when it does not say.
    """

    external_id: str
    type: str
    user: ClerkUser | None
    user_id: str | None
    at: datetime | None = None


class WhopPort(Protocol):
    """What the product asks of Whop. Whatever is asked raises ProviderUnavailable when nobody answers."""

    def membership(self, membership_id: str) -> WhopMembership | None:
        """The membership as it is now, with the e-mail where the key may read it; None when unknown."""

    def memberships(self) -> Iterator[WhopMembership]:
        """Every membership, page by page, as the list shows it (the current shape has no e-mail there)."""

    def cancel(self, membership_id: str, *, at_period_end: bool, idempotency_key: str) -> WhopMembership:
        """End it with the period that is paid for, or now; answers how it is then.

        This and the next two raise ProviderRefused for a clear no, ProviderUnavailable when certainly nothing
        happened, and OutcomeUnknown when the call may have had its effect although no answer came.
        """

    def uncancel(self, membership_id: str) -> WhopMembership:
        """Let one that is to end with its period run on after all; answers how it is then."""

    def reactivate(self, membership_id: str) -> WhopMembership:
        """Give access back to one that was paid once and is canceled, until the end that it had."""

    def payments_of(self, membership_id: str) -> list[WhopPayment]:
        """What was paid, or tried to be, for a membership, newest first: the latest hundred."""

    def payment(self, payment_id: str) -> WhopPayment | None:
        """The payment as it is now; None when Whop knows none by this id."""

    def refunds_of(self, payment_id: str) -> list[WhopRefund]:
        """Every refund of a payment, those made elsewhere included, oldest first."""

    def refund(
        self, payment_id: str, *, amount: Decimal, reason: str, refund_id: int, idempotency_key: str
    ) -> WhopPayment:
        """Give back `amount` in major units of the payment's currency; answers how the payment is then.

        Raises ProviderRefused for a clear no, ProviderUnavailable when certainly nothing happened, and OutcomeUnknown
        when the call may have had its effect although no answer came.
        """


class ClerkPort(Protocol):
    """What the product asks of Clerk: who is signed in, and who a person is."""

    @property
    def knows_people(self) -> bool:
        """False when no secret key is configured: nobody can be asked who a person is."""

    def verify_session_token(self, token: str) -> ClerkSession:
        """The session behind the token; raises NotSignedIn, or ProviderUnavailable when no key can be had."""

    def user(self, user_id: str, *, fresh: bool = False) -> ClerkUser:
        """The person, up to half a minute old unless `fresh`.

        Raises NotSignedIn when the provider knows nobody by this id (any more), ProviderUnavailable when it
        cannot be asked.
        """

    def people(self, *, after: str | None = None) -> list[ClerkUser]:
        """The next page of all people, those who came first before the others; an empty one is the end.

        `after` is the last one's id of the page before. Raises ProviderUnavailable, or ProviderRefused for a clear no.
        """

    def add_email(self, user_id: str, address: str, *, verified: bool, primary: bool) -> str:
        """Give the person one address more; answers the provider's id of it.

        This and the next two raise ProviderRefused for a clear no, ProviderUnavailable when certainly nothing
        happened, and OutcomeUnknown when the call may have had its effect although no answer came. None takes a key
        that would make a second call the same one: whoever got no answer asks for the person.
        """

    def change_email(self, email_id: str, *, verified: bool = False, primary: bool = False) -> str:
        """Call an address verified, or make it the primary one; what is not asked for stays as it is."""

    def remove_email(self, email_id: str) -> str:
        """Take an address from its person."""


class MailPort(Protocol):
    """What sends mails."""

    @property
    def delivers(self) -> bool:
        """False when no mail server is configured: the mail is only kept, not sent."""

    def send(
        self,
        to: str,
        subject: str,
        text: str,
        html: str,
        calendar: str | None = None,
        *,
        message_id: str | None = None,
    ) -> None:
        """Hand one mail over, with a calendar file if it has one.

        Raises OutcomeUnknown when the server had all of it and did not say whether it took it, and ProviderUnavailable
        when it certainly did not.
        """
