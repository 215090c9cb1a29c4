"""What is known about a client that decides what may be done for them, read in one query and judged by the clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.orm import Session

from admin_app.errors import NotFound
from admin_app.services.clients import flag_clock
from admin_app.services.subscriptions import billing_mapping
from models import BillingStatus, FlagName, OnExpiry
from models.base import text_enum
from models.clients import billing_status

Meaning = tuple[BillingStatus, bool]


class NoSuchClient(NotFound):
    """No client has this id: 404."""

    code = "client_not_found"
    sentence = "There is no client with this number."


@dataclass(frozen=True)
class FlagPeriod:
    """An open row of `flag_changes`, as `flag_clock` reads it."""

    since: datetime
    until: datetime | None
    on_expiry: OnExpiry
    reason: str
    by: str
    value: bool = True
    lifted_at: None = None


@dataclass(frozen=True)
class FlagFacts:
    """A flag: the boolean that other programs read and write, and the open periods."""

    kept: bool
    periods: tuple[FlagPeriod, ...] = ()

    def is_on(self, now: datetime) -> bool:
        return flag_clock.is_on(self.kept, self.periods, now)

    def period(self, now: datetime) -> FlagPeriod | None:
        """The period that has it on; None also when another program set the boolean."""
        return flag_clock.in_force(self.periods, now)

    def off_at(self, now: datetime) -> datetime | None:
        return flag_clock.off_at(self.periods, now)


@dataclass(frozen=True)
class OverrideFacts:
    """The override that nobody lifted; over at `until`, whether or not that was noted yet."""

    status: BillingStatus
    since: datetime
    until: datetime
    reason: str
    by: str
    status_without: BillingStatus = BillingStatus.NONE
    payment_active_without: bool = False

    def is_in_force(self, now: datetime) -> bool:
        return self.since <= now < self.until


@dataclass(frozen=True)
class StripeFacts:
    """The subscription that counts, in Stripe's own words."""

    status: str
    collection_paused: bool
    trial_end: datetime | None
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        return self.status in billing_mapping.OVER or self.ended_at is not None


@dataclass(frozen=True)
class BillingInForce:
    """What counts now. None: it cannot be told. `override` is set when it is finance's word and not Stripe's."""

    status: BillingStatus | None
    payment_active: bool | None
    trial_end: datetime | None
    override: OverrideFacts | None = None


@dataclass(frozen=True)
class BillingFacts:
    """What `clients` holds, what Stripe said last, and what finance put in its place."""

    kept: BillingStatus | None
    payment_active: bool | None
    trial_ends_at: datetime | None = None
    trial_used_at: datetime | None = None
    trial_granted_until: datetime | None = None
    trial_days: int = 14
    override: OverrideFacts | None = None
    at_stripe: StripeFacts | None = None

    @property
    def trial_end(self) -> datetime | None:
        """As noted here, else as Stripe says, else by its beginning and the usual length; None: nobody knows."""
        if self.trial_ends_at is not None:
            return self.trial_ends_at
        if self.at_stripe is not None and self.at_stripe.trial_end is not None:
            return self.at_stripe.trial_end
        return self.trial_used_at + timedelta(days=self.trial_days) if self.trial_used_at is not None else None

    def granted_trial_is_over(self, now: datetime) -> bool:
        """Whether the trial that staff granted ended, and no subscription took its place that is not over too."""
        ended = self.trial_granted_until is not None and self.trial_granted_until <= now
        return ended and (self.at_stripe is None or self.at_stripe.is_over)

    def in_force(self, now: datetime) -> BillingInForce:
        override = self.override
        if override is None or now < override.since:
            ends = self.trial_ends_at if self.kept is BillingStatus.TRIAL else None
            if ends is not None and ends == self.trial_granted_until and ends <= now:
                return self._anew(now)
            return BillingInForce(self.kept, self.payment_active, self.trial_end)
        if override.is_in_force(now):
            pays = True if override.status is BillingStatus.ACTIVE else self.payment_active
            # Finance said for how long, so that is how long the trial runs.
            return BillingInForce(override.status, pays, override.until, override)
        return self._anew(now, (override.status_without, override.payment_active_without))

    def _anew(self, now: datetime, before: Meaning = billing_mapping.NO_SUBSCRIPTION) -> BillingInForce:
        """After an override or a granted trial that is over `clients` may still hold its status, so it is told anew:
        by the trial that was granted, else by Stripe, else by what was in force before; as `billing.refresh` will note.
        """
        granted, at_stripe = self.trial_granted_until, self.at_stripe
        if granted is not None and now < granted and (at_stripe is None or at_stripe.is_over):
            return BillingInForce(BillingStatus.TRIAL, True, granted)
        if at_stripe is not None:
            means = billing_mapping.meaning(at_stripe.status, collection_paused=at_stripe.collection_paused)
        elif granted is not None:
            means = billing_mapping.NO_SUBSCRIPTION
        else:
            means = before
        return BillingInForce(*means, self.trial_end)


@dataclass(frozen=True)
class GateFacts:
    """Everything that the gate judges by. None: it is not known, and the gate refuses."""

    client_id: int
    emergency_stop: FlagFacts | None
    outbound_paused: FlagFacts | None
    ai_disabled: FlagFacts | None
    billing: BillingFacts | None
    onboarding_complete: bool | None


# Written out: it is asked before every call of every client. One row per open period, one at least. The emergency stop
# is looked for by the client that it does not have: by its flag the planner walks the whole index of the constraint.
# A granted trial that gave way to a subscription is none any more, as in `billing.gave_way`.
_FACTS = text("""
SELECT c.onboarding_complete, c.outbound_paused, c.ai_disabled,
       c.billing_status, c.payment_active, c.trial_ends_at, c.trial_used_at,
       CASE WHEN s.had_since THEN NULL ELSE c.trial_granted_until END AS trial_granted_until,
       o.status AS override_status, o.since AS override_since, o.until AS override_until,
       o.reason AS override_reason, o.by AS override_by,
       o.status_without, o.payment_active_without,
       s.status AS stripe_status, s.collection_paused, s.trial_end, s.ended_at,
       f.flag, f.since, f.until, f.on_expiry, f.reason, f.by
FROM clients c
LEFT JOIN billing_overrides o ON o.client_id = c.id AND o.lifted_at IS NULL
LEFT JOIN LATERAL (
  SELECT status, collection_paused, trial_end, ended_at,
         bool_or(
           status NOT IN ('incomplete', 'incomplete_expired')
           AND ((status <> 'canceled' AND ended_at IS NULL)
                OR coalesce(ended_at, canceled_at, started_at) > c.trial_used_at)
         ) OVER () AS had_since
  FROM subscriptions WHERE client_id = c.id
  ORDER BY stripe_subscription_id = c.stripe_subscription_id DESC NULLS LAST, ended_at IS NULL DESC,
           started_at DESC NULLS LAST, id DESC
  LIMIT 1
) s ON true
LEFT JOIN LATERAL (
  SELECT flag, since, until, on_expiry, reason, by FROM flag_changes
  WHERE client_id = c.id AND lifted_at IS NULL AND value
  UNION ALL
  SELECT flag, since, until, on_expiry, reason, by FROM flag_changes
  WHERE client_id IS NULL AND lifted_at IS NULL AND value
) f ON true
WHERE c.id = :client_id
""").bindparams(bindparam("client_id", type_=BigInteger)).columns(
    billing_status=billing_status,
    override_status=billing_status,
    status_without=billing_status,
    flag=text_enum(FlagName, "flag"),
    on_expiry=text_enum(OnExpiry, "on_expiry"),
)  # fmt: skip


def facts_of(session: Session, client_id: int, *, trial_days: int) -> GateFacts:
    """The facts of one client, in one query; NoSuchClient when there is none.

    `trial_days` is the setting of that name: how long a trial lasts of which only the beginning is known.
    """
    rows = session.connection().execute(_FACTS, {"client_id": client_id}).all()
    if not rows:
        raise NoSuchClient
    row = rows[0]
    periods: dict[FlagName, list[FlagPeriod]] = {flag: [] for flag in FlagName}
    for each in rows:
        if each.flag is not None:
            periods[each.flag].append(FlagPeriod(each.since, each.until, each.on_expiry, each.reason, each.by))
    return GateFacts(
        client_id=client_id,
        emergency_stop=FlagFacts(False, tuple(periods[FlagName.EMERGENCY_STOP])),
        outbound_paused=FlagFacts(row.outbound_paused, tuple(periods[FlagName.OUTBOUND_PAUSED])),
        ai_disabled=FlagFacts(row.ai_disabled, tuple(periods[FlagName.AI_DISABLED])),
        billing=_billing(row, trial_days),
        onboarding_complete=row.onboarding_complete,
    )


def _billing(row: Any, trial_days: int) -> BillingFacts:
    override = stripe = None
    if row.override_status is not None:
        override = OverrideFacts(
            row.override_status, row.override_since, row.override_until, row.override_reason, row.override_by,
            row.status_without, row.payment_active_without,
        )  # fmt: skip
    if row.stripe_status is not None:
        stripe = StripeFacts(row.stripe_status, row.collection_paused, row.trial_end, row.ended_at)
    return BillingFacts(
        kept=row.billing_status,
        payment_active=row.payment_active,
        trial_ends_at=row.trial_ends_at,
        trial_used_at=row.trial_used_at,
        trial_granted_until=row.trial_granted_until,
        trial_days=trial_days,
        override=override,
        at_stripe=stripe,
    )
