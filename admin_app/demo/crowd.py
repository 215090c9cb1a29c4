"""The many: accounts and profiles from before the waiting purchases, with the deliveries that made some of them pro."""

from datetime import datetime, timedelta
from typing import Any

from admin_app.demo.clock import Stage
from admin_app.demo.names import Person
from admin_app.demo.whop import bought, delivery
from admin_app.services.memberships import CREDIT_PERIOD
from admin_app.services.memberships.periods import UNIT_OF
from models import (
    LEGACY_PREFIX,
    EventState,
    Membership,
    MembershipStatus,
    PaymentProvider,
    PlanDuration,
    Profile,
    ProviderMembership,
    Rhythm,
    User,
    WebhookEvent,
)

LONGEST_AGO = 700
# What the profiles are, by share.
KINDS = ("free", "whop", "stripe", "ended")
SHARES = (58, 30, 7, 5)
# Rows differ in which columns they fill, and one INSERT wants them all alike.
BLANK_PROFILE: dict[str, Any] = {
    column.key: None for column in Profile.__table__.columns if column.nullable and column.key not in {"email", "name"}
}


class Crowd:
    """Rows to insert, section by section."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.invention = stage.invention("crowd")
        self.people: list[Person] = []
        self.by_kind: dict[str, list[Person]] = {kind: [] for kind in KINDS}
        self.users: list[dict[str, Any]] = []
        self.profiles: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    def fill(self) -> None:
        random = self.invention.random
        for _ in range(self.stage.amounts.profiles):
            person = self.invention.person()
            made = self.stage.ago(days=random.uniform(125, LONGEST_AGO))
            kind = random.choices(KINDS, SHARES)[0]
            self.people.append(person)
            self.by_kind[kind].append(person)
            self._add(person, made, kind)
        for _ in range(self.stage.amounts.legacy_rows):
            self._add_legacy()
        self.stage.put(User, self.users)
        self.stage.put(Profile, self.profiles)
        self.stage.put(ProviderMembership, list(map(_membership_row, filter(_is_bought, self.profiles))))
        self.stage.put(WebhookEvent, self.events)

    def _add(self, person: Person, made: datetime, kind: str) -> None:
        """An account with its profile; one in ten signed in long ago and has no user row."""
        random = self.invention.random
        if random.random() < 0.9:
            self.users.append(user_row(person, made, made + (self.stage.today - made) * random.random()))
        profile = profile_row(person, made)
        if kind in {"whop", "ended"}:
            profile |= self._whop_purchase(person, made, ended=kind == "ended")
        elif kind == "stripe":
            profile |= self._stripe_purchase()
        self.profiles.append(profile)

    def _whop_purchase(self, person: Person, made: datetime, *, ended: bool) -> dict[str, Any]:
        random, today = self.invention.random, self.stage.today
        plan = random.choice(("monthly", "monthly", "yearly"))
        began = made + timedelta(minutes=random.randrange(3, 60 * 24))
        cycle = timedelta(days=30 if plan == "monthly" else 365)
        start = began + cycle * ((today - began) // cycle) if not ended else began
        form = "v5" if start < self.stage.ago(days=300) else random.choice(("v1", "v1", "pinned", "v2"))
        record = bought(self.invention, at=start, plan=plan, email=person.email, name=person.name)
        self._keep(form, "payment.succeeded", start, record, paid=True)
        values: dict[str, Any] = cycle_values(start, plan, self.stage.today) | {
            "membership": Membership.PRO,
            "payment_provider": PaymentProvider.WHOP,
            "whop_user_id": record.user_id,
            "whop_membership_id": record.id,
            "usage_credits": 1000,
            "used_credits": min(1000, int(random.expovariate(1 / 260))),
            "cancel_at_period_end": not ended and random.random() < 0.06,
            "provider_event_at": start,
        }
        if ended:
            end = min(start + cycle, self.stage.ago(days=1))
            self._keep("v1", "membership.deactivated", end, record)
            values |= {"membership": Membership.FREE, "status": MembershipStatus.INACTIVE, "provider_event_at": end}
            values["next_credit_renewal"] = start + CREDIT_PERIOD
        return values

    def _keep(self, form: str, event: str, at: datetime, record: Any, *, paid: bool = False) -> None:
        delivered = delivery(self.invention, form, event, at, record, paid=paid, first=False)
        self.events.append(
            {
                "provider": "whop",
                "external_id": delivered.external_id,
                "type": delivered.type,
                "body": delivered.body,
                "received_at": at + timedelta(seconds=2),
                "occurred_at": at,
                "subject": record.id,
                "state": EventState.PROCESSED,
                "attempts": 1,
                "outcome": "purchase" if paid else "ended",
                "processed_at": at + timedelta(seconds=3),
                "version": 2,
            }
        )

    def _stripe_purchase(self) -> dict[str, Any]:
        random = self.invention.random
        plan = random.choice(("monthly", "yearly"))
        start = self.stage.ago(days=random.uniform(0, 29 if plan == "monthly" else 360))
        return cycle_values(start, plan, self.stage.today) | {
            "membership": Membership.PRO,
            "payment_provider": PaymentProvider.STRIPE,
            "stripe_customer_id": f"cus_{self.invention.letters(14)}",
            "stripe_subscription_id": f"sub_1{self.invention.letters(23)}",
            "usage_credits": 1000,
            "used_credits": min(1000, int(random.expovariate(1 / 300))),
        }

    def _add_legacy(self) -> None:
        """A purchase as the earlier system kept it: a profile of nobody's."""
        person, at = (
            self.invention.person(well_known=False),
            self.stage.ago(days=self.invention.random.uniform(200, 420)),
        )
        profile = profile_row(person, at) | self._whop_purchase(person, at, ended=False)
        self.profiles.append(profile | {"user_id": f"{LEGACY_PREFIX}{self.invention.letters(16).lower()}"})


def _is_bought(profile: dict[str, Any]) -> bool:
    """Whether a membership of an account is behind it; a legacy row's becomes one when it is moved."""
    paid = profile.get("whop_membership_id") or profile.get("stripe_subscription_id")
    return paid is not None and not profile["user_id"].startswith(LEGACY_PREFIX)


def _membership_row(profile: dict[str, Any]) -> dict[str, Any]:
    is_whop = profile["whop_membership_id"] is not None
    return {
        "provider": PaymentProvider.WHOP if is_whop else PaymentProvider.STRIPE,
        "external_id": profile["whop_membership_id"] or profile["stripe_subscription_id"],
        "rhythm": Rhythm.RECURRING,
        "interval_unit": UNIT_OF[profile["plan_duration"]],
        "interval_count": 1,
        "status": profile.get("status") or MembershipStatus.ACTIVE,
        "period_start": profile["billing_cycle_start"],
        "period_end": profile["billing_cycle_end"],
        "cancel_at_period_end": profile.get("cancel_at_period_end") or False,
        "next_credits_at": profile["next_credit_renewal"],
        "provider_user_id": profile["whop_user_id"],
        "provider_customer_id": profile["stripe_customer_id"],
        "email": profile["email"] if is_whop else None,
        "name": profile["name"] if is_whop else None,
        "profile_user_id": profile["user_id"],
        "provider_event_at": profile["provider_event_at"],
        "created_at": profile["billing_cycle_start"],
        "updated_at": profile["billing_cycle_start"],
        "version": 1,
    }


def user_row(person: Person, made: datetime, last_signed_in: datetime) -> dict[str, Any]:
    """A row for `users`, by column; both moments are aware."""
    return {
        "open_id": person.user_id,
        "name": person.name,
        "email": person.email,
        "created_at": made,
        "last_signed_in": last_signed_in,
    }


def profile_row(person: Person, made: datetime) -> dict[str, Any]:
    """A free profile with every column set."""
    return BLANK_PROFILE | {
        "user_id": person.user_id,
        "email": person.email,
        "name": person.name,
        "membership": Membership.FREE,
        "usage_credits": 0,
        "used_credits": 0,
        "status": MembershipStatus.ACTIVE,
        "cancel_at_period_end": False,
        "created_at": made,
        "updated_at": made,
        "version": 1,
    }


def cycle_values(start: datetime, plan: str, today: datetime) -> dict[str, Any]:
    """The cycle's dates; credits came each 28 days, and the next ones are due."""
    days = 30 if plan == "monthly" else 365
    periods = max(0, (today - start) // CREDIT_PERIOD) + 1
    return {
        "plan_duration": PlanDuration(plan),
        "billing_cycle_start": start,
        "billing_cycle_end": start + timedelta(days=days),
        "next_credit_renewal": start + periods * CREDIT_PERIOD,
        "updated_at": start,
    }
