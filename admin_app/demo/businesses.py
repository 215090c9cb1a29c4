"""Clients of the phone agent, in every state of billing and onboarding, with what they paid since they came."""

from datetime import datetime, timedelta
from itertools import product
from random import Random
from typing import Any

from sqlalchemy import insert

from admin_app.demo.clock import Stage
from admin_app.demo.lives import Life, live
from admin_app.services.subscriptions import billing_mapping
from models import BillingStatus, Client, OnboardingState
from models.billing import BillingChange, ClientCustomer, Subscription

TRADES = ("Dental", "Plumbing", "Physio", "Law", "Bakery", "Dance School", "Roofing", "Veterinary", "Optics", "Garage")
PLACES = (
    "Harbour",
    "Old Town",
    "Riverside",
    "Northgate",
    "Meadow",
    "Station",
    "Hillside",
    "Lakeside",
    "Market",
    "Abbey",
)
ENDINGS = ("Partners", "Studio", "& Sons", "Group", "Centre", "Collective")
BILLING = (
    *(BillingStatus.ACTIVE,) * 8,
    *(BillingStatus.TRIAL,) * 3,
    *(BillingStatus.NONE,) * 2,
    *(BillingStatus.PAST_DUE, BillingStatus.CANCELED),
)
# Forwarding enabled, test call detected, step: complete only when both hold.
ONBOARDING = ((False, False, "start"), (True, False, "test_call"), (False, True, "forwarding"), (True, True, "done"))


# How many days ago a client of each status may have come.
CAME = {
    BillingStatus.NONE: (2, 400),
    BillingStatus.TRIAL: (0.6, 13),
    BillingStatus.ACTIVE: (3, 500),
    BillingStatus.PAST_DUE: (47, 500),
    BillingStatus.CANCELED: (60, 500),
}
# Those of the yearly payers who have not paid for long, and since how many days.
EARLIER_CUSTOMER = 9  # every so many
LATE_FOR_LONG = (58, 41)


def fill(stage: Stage) -> None:
    """Every pair of billing state and onboarding step first, the rest in believable shares."""
    invention = stage.invention("businesses")
    random = invention.random
    corners = list(product(BillingStatus, ONBOARDING))
    late = list(LATE_FOR_LONG)
    clients, states, lives = [], [], []
    for number in range(stage.amounts.clients):
        if number < len(corners):
            billing, (forwarding, tested, step) = corners[number]
        else:
            billing = random.choice(BILLING)
            forwarding, tested, step = random.choices(ONBOARDING, (1, 1, 1, 12))[0]
        made = stage.ago(days=random.uniform(*CAME[billing]))
        long = late.pop() if late and billing is BillingStatus.PAST_DUE and number >= len(corners) else 0
        if long:
            made = stage.ago(days=long + 365 + 15)
        canceling = billing in {BillingStatus.ACTIVE, BillingStatus.TRIAL} and random.random() < 0.12
        life = None
        if billing is not BillingStatus.NONE:
            life = live(stage, random, made, billing, canceling=canceling, yearly_late_days=long)
        slug = invention.letters(14)
        client = _client(stage, random, number, made, slug, life)
        clients.append(client | {"onboarding_complete": forwarding and tested})
        states.append(_onboarding(stage, random, made, step, forwarding=forwarding, tested=tested))
        lives.append(life)
    session = stage.ctx.session
    ids = session.scalars(insert(Client).returning(Client.id, sort_by_parameter_order=True), clients).all()
    # Two have not begun at all: no onboarding row exists for them.
    rows = [{"client_id": key, **state} for key, state in zip(ids, states, strict=True)][:-2]
    stage.put(OnboardingState, rows)
    _put_lives(stage, list(zip(ids, clients, lives, strict=True)))


def _client(stage: Stage, random: Random, number: int, made: datetime, slug: str, life: Life | None) -> dict[str, Any]:
    place, trade = PLACES[number % len(PLACES)], TRADES[number // len(PLACES) % len(TRADES)]
    name = f"{place} {trade} {random.choice(ENDINGS)}"
    return {
        "name": name,
        "email": f"office@{name.split(' ')[0].lower()}{number + 1}.example",
        "phone": f"+1555{2_000_000 + number * 4_931 % 7_999_999:07}",
        "outbound_paused": random.random() < 0.08,
        "ai_disabled": random.random() < 0.06,
        "stripe_customer_id": f"cus_{slug}" if life else None,
        "stripe_subscription_id": f"sub_{slug}" if life else None,
        "created_at": made,
        "updated_at": max([made, *(change["at"] for change in life.changes)]) if life else made,
        **_in_force(stage, life),
    }


def _in_force(stage: Stage, life: Life | None) -> dict[str, Any]:
    """What the subscription means for the client, as the product reads it."""
    if life is None:
        none = dict.fromkeys(("trial_used_at", "trial_ends_at", "cancellation_requested_at"))
        return none | {"billing_status": BillingStatus.NONE, "payment_active": False, "pending_cancellation": False}
    held, now = Subscription(**life.columns), stage.ctx.now
    status, pays = billing_mapping.meaning(held.status, collection_paused=held.collection_paused)
    return {
        "billing_status": status,
        "payment_active": pays,
        "trial_used_at": billing_mapping.trial_began_at(held),
        "trial_ends_at": held.trial_end,
        "pending_cancellation": billing_mapping.pending_cancellation(held, now),
        "cancellation_requested_at": billing_mapping.cancellation_requested_at(held, now),
    }


def _onboarding(
    stage: Stage, random: Random, made: datetime, step: str, *, forwarding: bool, tested: bool
) -> dict[str, Any]:
    """Reported some days after they came, and completed with the second of the two."""
    forwarded = min(made + timedelta(hours=random.uniform(2, 90)), stage.ago(minutes=45))
    called = min(forwarded + timedelta(hours=random.uniform(0.5, 60)), stage.ago(minutes=20))
    done = max(forwarded, called) if forwarding and tested else None
    return {
        "forwarding_enabled": forwarding,
        "test_call_detected": tested,
        "current_step": step,
        "forwarding_enabled_at": forwarded if forwarding else None,
        "test_call_detected_at": called if tested else None,
        "completed_at": done,
        "created_at": made,
        "updated_at": max([made, *([forwarded] if forwarding else []), *([called] if tested else [])]),
    }


def _put_lives(stage: Stage, billed: list[tuple[int, dict[str, Any], Life | None]]) -> None:
    lives = [(key, client, life) for key, client, life in billed if life is not None]
    ids = ("stripe_customer_id", "stripe_subscription_id")
    held = [{"client_id": key, **{name: client[name] for name in ids}, **life.columns} for key, client, life in lives]
    # As the product came to know them: in the order in which they happened.
    stage.put(Subscription, sorted(held, key=lambda row: row["created_at"]))
    stage.put(ClientCustomer, [row for key, client, life in lives for row in _customers(stage, key, client, life)])
    steps = [{"client_id": key, **change} for key, _, life in lives for change in life.changes]
    stage.put(BillingChange, sorted(steps, key=lambda row: row["at"]))


def _customers(stage: Stage, key: int, client: dict[str, Any], life: Life) -> list[dict[str, Any]]:
    """Who the client is at Stripe; some had been another customer before, whom somebody deleted there."""
    number, began = client["stripe_customer_id"], life.columns["created_at"]
    told = {"client_id": key, "email": client["email"], "name": client["name"], "created_at": began, "since": began}
    now = {
        "stripe_customer_id": number,
        "deleted_at": None,
        "last_seen_at": stage.ago(minutes=360),
        "updated_at": began,
    }
    if key % EARLIER_CUSTOMER:
        return [told | now]
    gone = {"stripe_customer_id": f"{number}1", "deleted_at": began, "last_seen_at": began, "updated_at": began}
    return [told | gone, told | now]
