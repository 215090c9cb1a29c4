"""Every state that a fact of the gate can be in, and what it alone says: written by hand, not by the gate."""

from dataclasses import replace
from datetime import timedelta

from admin_app.services.clients.client_facts import BillingFacts, FlagFacts, FlagPeriod, OverrideFacts, StripeFacts
from models import BillingStatus, OnExpiry
from tests.services.factories import NOON

NOW = NOON
HOUR, DAY, TICK = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
NONE, TRIAL, ACTIVE, CANCELED, PAST_DUE = BillingStatus


def period(since, until=None, on_expiry=OnExpiry.LIFT):
    return FlagPeriod(since=since, until=until, on_expiry=on_expiry, reason="They are on holiday.", by="ops@x.test")


ENDLESS = period(NOW - DAY)
RUNNING = period(NOW - DAY, NOW + HOUR)
LAST_MOMENT = period(NOW - DAY, NOW + TICK)
JUST_BEGUN = period(NOW)
JUST_OVER = period(NOW - DAY, NOW)
STAYS = period(NOW - DAY, NOW - HOUR, OnExpiry.STAY)
AHEAD = period(NOW + TICK, NOW + DAY)

# A flag, and whether it is on.
CLIENT_FLAG: list[tuple[FlagFacts | None, bool | None]] = [
    (None, None),
    (FlagFacts(False), False),
    (FlagFacts(True), True),
    (FlagFacts(True, (ENDLESS,)), True),
    (FlagFacts(False, (ENDLESS,)), True),
    (FlagFacts(True, (LAST_MOMENT,)), True),
    (FlagFacts(True, (JUST_OVER,)), False),
    (FlagFacts(True, (JUST_OVER, AHEAD)), False),
    (FlagFacts(True, (STAYS,)), True),
    (FlagFacts(False, (AHEAD,)), False),
    (FlagFacts(True, (AHEAD,)), True),
]
STOP: list[tuple[FlagFacts | None, bool | None]] = [
    (None, None),
    (FlagFacts(False), False),
    (FlagFacts(False, (RUNNING,)), True),
    (FlagFacts(False, (JUST_BEGUN,)), True),
    (FlagFacts(False, (JUST_OVER,)), False),
    (FlagFacts(False, (AHEAD,)), False),
]
ONBOARDING = [(None, "onboarding_unknown"), (False, "onboarding_incomplete"), (True, None)]


def override(status, since=NOW - DAY, until=NOW + DAY):
    return OverrideFacts(status=status, since=since, until=until, reason="Paid by transfer", by="finance@x.test")


def after_override(word, paused=False, trial_end=None, **more):
    """An override to active that is over by the clock and was not tidied up: `clients` still says active."""
    at_stripe = StripeFacts(word, paused, trial_end) if word else None
    return BillingFacts(ACTIVE, True, override=override(ACTIVE, until=NOW), at_stripe=at_stripe, **more)


# How a client pays, and the code that this alone is refused with.
BILLING: list[tuple[BillingFacts | None, str | None]] = [
    (None, "billing_unknown"),
    (BillingFacts(None, True), "billing_unknown"),
    (BillingFacts(NONE, False), "no_billing"),
    (BillingFacts(NONE, True, trial_ends_at=NOW + DAY), "no_billing"),
    (BillingFacts(CANCELED, True), "canceled"),
    (BillingFacts(PAST_DUE, True), "past_due"),
    (BillingFacts(ACTIVE, True), None),
    (BillingFacts(ACTIVE, False), "payment_inactive"),
    (BillingFacts(ACTIVE, None), "payment_unknown"),
    # Payment says nothing about a trial; its end is looked for in three places.
    (BillingFacts(TRIAL, False), "trial_end_unknown"),
    (BillingFacts(TRIAL, False, trial_ends_at=NOW + TICK), None),
    (BillingFacts(TRIAL, None, trial_ends_at=NOW + TICK), None),
    (BillingFacts(TRIAL, False, trial_ends_at=NOW), "trial_over"),
    (BillingFacts(TRIAL, False, trial_ends_at=NOW, at_stripe=StripeFacts("trialing", False, NOW + DAY)), "trial_over"),
    (BillingFacts(TRIAL, False, at_stripe=StripeFacts("trialing", False, NOW + DAY)), None),
    (BillingFacts(TRIAL, False, at_stripe=StripeFacts("trialing", False, NOW)), "trial_over"),
    (BillingFacts(TRIAL, False, trial_used_at=NOW - 14 * DAY + TICK), None),
    (BillingFacts(TRIAL, False, trial_used_at=NOW - 14 * DAY), "trial_over"),
    (BillingFacts(TRIAL, False, trial_used_at=NOW - 14 * DAY, trial_days=15), None),
    # A trial that staff granted, before and after its end was noted, and once a subscription was begun.
    (BillingFacts(TRIAL, True, trial_ends_at=NOW, trial_granted_until=NOW), "trial_over"),
    (BillingFacts(NONE, False, trial_ends_at=NOW, trial_granted_until=NOW), "trial_over"),
    (
        BillingFacts(
            TRIAL, True, trial_ends_at=NOW, trial_granted_until=NOW, at_stripe=StripeFacts("canceled", False, None)
        ),
        "canceled",
    ),
    (
        BillingFacts(NONE, False, trial_granted_until=NOW, at_stripe=StripeFacts("incomplete", False, None)),
        "no_billing",
    ),
    (BillingFacts(NONE, False, trial_granted_until=NOW, override=override(NONE)), "no_billing"),
    # Finance's word while it is in force, whatever else is said.
    (BillingFacts(CANCELED, False, override=override(ACTIVE)), None),
    (BillingFacts(None, None, override=override(ACTIVE)), None),
    (BillingFacts(ACTIVE, True, override=override(PAST_DUE)), "past_due"),
    (BillingFacts(ACTIVE, True, override=override(CANCELED)), "canceled"),
    (BillingFacts(ACTIVE, True, override=override(NONE)), "no_billing"),
    (BillingFacts(NONE, False, trial_ends_at=NOW - DAY, override=override(TRIAL)), None),
    (BillingFacts(CANCELED, False, override=override(ACTIVE, since=NOW + TICK)), "canceled"),
    # Over by the clock: Stripe's word, not what `clients` still holds.
    (after_override("active"), None),
    (after_override("active", paused=True), "payment_inactive"),
    (after_override("past_due"), "past_due"),
    (after_override("canceled"), "canceled"),
    (after_override("trialing", trial_end=NOW + DAY), None),
    (after_override("trialing", trial_end=NOW), "trial_over"),
    (after_override("incomplete"), "no_billing"),
    (after_override("a word of next year"), "past_due"),
    # Without a subscription: a granted trial, else what was in force before.
    (after_override(None), "no_billing"),
    (after_override(None, trial_granted_until=NOW + DAY), None),
    (after_override(None, trial_granted_until=NOW), "trial_over"),
    (after_override("canceled", trial_granted_until=NOW + DAY), None),
    (after_override("past_due", trial_granted_until=NOW + DAY), "past_due"),
    (BillingFacts(ACTIVE, True, override=replace(override(ACTIVE, until=NOW), status_without=PAST_DUE)), "past_due"),
    (
        BillingFacts(
            PAST_DUE,
            False,
            override=replace(override(PAST_DUE, until=NOW), status_without=ACTIVE, payment_active_without=True),
        ),
        None,
    ),
]
