"""Clients of the phone agent, in every state of billing and onboarding."""

from datetime import datetime, timedelta
from itertools import product
from random import Random
from typing import Any

from sqlalchemy import insert

from admin_app.demo.clock import Stage
from models import BillingStatus, Client, OnboardingState

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


def fill(stage: Stage) -> None:
    """Every pair of billing state and onboarding step first, the rest in believable shares."""
    invention = stage.invention("businesses")
    random = invention.random
    corners = list(product(BillingStatus, ONBOARDING))
    clients, states = [], []
    for number in range(stage.amounts.clients):
        if number < len(corners):
            billing, (forwarding, tested, step) = corners[number]
        else:
            billing = random.choice(BILLING)
            forwarding, tested, step = random.choices(ONBOARDING, (1, 1, 1, 12))[0]
        made = stage.ago(days=random.uniform(3, 500))
        slug = invention.letters(14)
        clients.append(_client(stage, random, number, made, billing, slug, complete=forwarding and tested))
        states.append({"forwarding_enabled": forwarding, "test_call_detected": tested, "current_step": step})
    session = stage.ctx.session
    ids = session.scalars(insert(Client).returning(Client.id, sort_by_parameter_order=True), clients).all()
    # Two have not begun at all: no onboarding row exists for them.
    rows = [{"client_id": key, **state} for key, state in zip(ids, states, strict=True)][:-2]
    stage.put(OnboardingState, rows)


def _client(
    stage: Stage, random: Random, number: int, made: datetime, billing: BillingStatus, slug: str, *, complete: bool
) -> dict[str, Any]:
    place, trade = PLACES[number % len(PLACES)], TRADES[number // len(PLACES) % len(TRADES)]
    name = f"{place} {trade} {random.choice(ENDINGS)}"
    canceling = billing in {BillingStatus.ACTIVE, BillingStatus.TRIAL} and random.random() < 0.12
    paying = billing is BillingStatus.ACTIVE
    billed = billing is not BillingStatus.NONE
    return {
        "name": name,
        "email": f"office@{name.split(' ')[0].lower()}{number + 1}.example",
        "phone": f"+1555{2_000_000 + number * 4_931 % 7_999_999:07}",
        "onboarding_complete": complete,
        "outbound_paused": random.random() < 0.08,
        "ai_disabled": random.random() < 0.06,
        "billing_status": billing,
        "payment_active": paying,
        "trial_used_at": made + timedelta(days=1) if billed else None,
        "pending_cancellation": canceling,
        "cancellation_requested_at": max(made, stage.ago(days=random.uniform(0, 20))) if canceling else None,
        "stripe_customer_id": f"cus_{slug}" if billed else None,
        "stripe_subscription_id": f"sub_{slug}" if billed else None,
        "created_at": made,
        "updated_at": made,
    }
