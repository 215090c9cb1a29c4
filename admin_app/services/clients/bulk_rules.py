"""Which clients of a choice a run leaves alone, and why: pure, decided when they are chosen.

A run never takes away what somebody else arranged: it makes a flag stay on longer, never shorter.
"""

from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter

from admin_app.services.clients import flag_clock
from admin_app.services.clients.flags import FlagRequest, FlagState, effect_of
from admin_app.services.core.plans import fingerprint
from models.clients import BillingStatus, BulkOutcome, FlagChange, OnExpiry

CANCELED = "Canceled: nothing is done for this client anyway"
CUTS_SHORT = "Something is scheduled that this would cut short: decide about it on the client's page"
ON_AS_LONG = "On already, for at least as long"
ON_LIKE_THIS = "On already, exactly like this"
OFF = "Off already"
MOVED = "Switched by somebody else, or by the clock, since the clients were chosen"

Decision = tuple[BulkOutcome, str | None]


def before(asked: FlagRequest, state: FlagState, billing: BillingStatus, now: datetime) -> Decision:
    """Whether a client that was chosen waits for the run, is so already, or is left out."""
    if billing is BillingStatus.CANCELED:
        return BulkOutcome.EXCLUDED, CANCELED
    if not asked.turns_on:
        return (BulkOutcome.WAITING, None) if state.is_on else (BulkOutcome.ALREADY, OFF)
    if state.set_outside:
        return BulkOutcome.ALREADY, ON_AS_LONG
    effect = effect_of(state, asked, now)
    if effect.already:
        return BulkOutcome.ALREADY, ON_LIKE_THIS
    end = asked.until if asked.on_expiry is OnExpiry.LIFT else None
    outlasting = [each for each in (*effect.lifted, *effect.shortened) if _outlasts(each, end)]
    if not outlasting:
        return BulkOutcome.WAITING, None
    covers = any(each.since <= asked.starts_at(now) for each in outlasting)
    return (BulkOutcome.ALREADY, ON_AS_LONG) if covers else (BulkOutcome.EXCLUDED, CUTS_SHORT)


def mark(state: FlagState, ended: Iterable[FlagChange] = ()) -> str:
    """What a run leaves behind: other than the fingerprint it stays the same when a period begins by the clock.

    It does so too when a period ends by the clock, with those that have `ended` since.
    """
    periods = [(each.id, each.until, each.on_expiry) for each in (state.change, *state.scheduled, *ended) if each]
    return fingerprint(state.set_outside, sorted(periods, key=itemgetter(0)))


def _outlasts(period: FlagChange, end: datetime | None) -> bool:
    """Whether it is on at least until `end` (None: for good)."""
    own = flag_clock.ends_at(period)
    return own is None or (end is not None and own >= end)
