"""All invariants, and the one way to check them."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from admin_app.policies.permissions import Permission
from admin_app.services.invariants import (
    about_addresses,
    about_bookings,
    about_clients,
    about_money,
    about_people,
    about_work,
    about_zones,
)
from admin_app.services.invariants.rule import PATIENCE, Broken, Invariant, Moments

# Who can do something about each kind; a rule may say so itself.
_BY = (
    (about_work.INVARIANTS, Permission.FAILURES_SETTLE),
    (about_people.INVARIANTS, Permission.PURCHASES_CLAIM),
    (about_addresses.INVARIANTS, Permission.PURCHASES_CLAIM),
    (about_money.INVARIANTS, Permission.REFUNDS_REQUEST),
    (about_clients.INVARIANTS, Permission.DRIFT_RUN),
    (about_bookings.INVARIANTS, Permission.BOOKINGS_MANAGE),
)
INVARIANTS: tuple[Invariant, ...] = tuple(
    replace(rule, permission=permission) for rules, permission in _BY for rule in rules
)
# What hangs on the machines and not on the rows: told where broken rules are, but there is no row to put right.
ZONES_AGREE = about_zones.ZONES_AGREE
BY_NAME = {rule.name: rule for rule in (*INVARIANTS, ZONES_AGREE)}


def broken(session: Session, *, now: datetime, patience: timedelta = PATIENCE) -> list[Broken]:
    """The invariants that do not hold at `now`, each with the records that break it; an empty list when all do.

    Reads only. What is under way may be unfinished for `patience`.
    """
    found = (look(session, invariant, now=now, patience=patience) for invariant in INVARIANTS)
    return [each for each in found if each is not None]


def look(session: Session, invariant: Invariant, *, now: datetime, patience: timedelta = PATIENCE) -> Broken | None:
    """What breaks one of them, if anything."""
    records = tuple(invariant.find(session, Moments.at(now, patience)))
    return Broken(invariant, records) if records else None
