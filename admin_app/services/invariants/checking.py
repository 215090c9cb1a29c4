"""All invariants, and the one way to check them."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from admin_app.services.invariants import about_addresses, about_bookings, about_money, about_people, about_work
from admin_app.services.invariants.rule import PATIENCE, Broken, Invariant, Moments

INVARIANTS: tuple[Invariant, ...] = (
    *about_work.INVARIANTS,
    *about_people.INVARIANTS,
    *about_addresses.INVARIANTS,
    *about_money.INVARIANTS,
    *about_bookings.INVARIANTS,
)


def broken(session: Session, *, now: datetime, patience: timedelta = PATIENCE) -> list[Broken]:
    """The invariants that do not hold at `now`, each with the records that break it; an empty list when all do.

    Reads only. What is under way may be unfinished for `patience`.
    """
    moments = Moments.at(now, patience)
    found = ((invariant, tuple(invariant.find(session, moments))) for invariant in INVARIANTS)
    return [Broken(invariant, records) for invariant, records in found if records]
