"""Whether anything was lost or doubled: the ledger of the traffic beside database, providers and mailbox."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

from admin_app.services import invariants
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.stripe import control_stripe
from tests.faults.product import Product
from tests.faults.traffic import Ledger

SETTLED = ("processed", "ignored", "superseded")
T = TypeVar("T")
PERIOD = timedelta(seconds=90)
# What failed and is tried again by itself is still under way.
STATES = """
    SELECT e.provider, e.external_id, CASE WHEN e.state = 'failed' AND EXISTS (
        SELECT FROM procrastinate_jobs j WHERE j.task_name = 'process_event' AND j.status IN ('todo', 'doing')
        AND (j.args ->> 'event_id')::bigint = e.id) THEN 'waits for its next try' ELSE e.state::text END AS state
    FROM webhook_events e
"""


def _twice(found: Iterable[T]) -> list[T]:
    return [each for each, times in Counter(found).items() if times > 1]


def deliveries(product: Product, ledger: Ledger) -> tuple[Counter[str], list[str]]:
    """Acknowledged, stored, done with and listed; and what of it is amiss."""
    # First, because more arrive while the rows are read.
    acknowledged = list(ledger.acknowledged)
    rows = product.rows(STATES)
    states = {(row["provider"], row["external_id"]): row["state"] for row in rows}
    counts = Counter[str](
        acknowledged=len(acknowledged),
        stored=sum(key in states for key in acknowledged),
        processed=sum(states.get(key) in SETTLED for key in acknowledged),
        listed=sum(states.get(key) in ("parked", "failed") for key in acknowledged),
    )
    lost = [key for key in acknowledged if key not in states]
    doubled = _twice((row["provider"], row["external_id"]) for row in rows)
    amiss = [f"{len(lost)} deliveries were answered with 200 and are not stored: {lost[:3]}"] if lost else []
    return counts, amiss + ([f"stored twice: {doubled[:3]}"] if doubled else [])


def unfinished(product: Product, ledger: Ledger) -> int:
    """Acknowledged deliveries that are neither done with nor in front of a person."""
    counts, _ = deliveries(product, ledger)
    return counts["acknowledged"] - counts["processed"] - counts["listed"]


def money(product: Product, ledger: Ledger) -> list[str]:
    """Nobody pays twice, gets more back than was paid, or pays for nothing."""
    amiss = []
    refunds = (refund["metadata"].get("refundId") for refund in control_stripe.refunds(product.simulator))
    if doubled := _twice(number for number in refunds if number):
        amiss.append(f"refunds that Stripe made twice: {doubled[:3]}")
    paid = (page for page in control_stripe.sessions(product.simulator) if page["payment_status"] == "paid")
    if doubled := _twice(page["metadata"].get("bookingId") for page in paid):
        amiss.append(f"bookings that were paid twice: {doubled[:3]}")
    rows = product.rows(
        "SELECT b.id, b.status FROM bookings b WHERE b.id = ANY(%s) AND status NOT IN ('confirmed', 'refunded')"
        " AND NOT EXISTS (SELECT FROM payments p JOIN refunds r ON r.payment_id = p.id WHERE p.booking_id = b.id)",
        list(ledger.paid),
    )
    if rows:
        amiss.append(f"{len(rows)} bookings were paid, and neither confirmed nor given back: {rows[:3]}")
    there = (one for one in control_calcom.bookings(product.simulator) if one["status"] == "accepted")
    if doubled := _twice(one["metadata"].get("bookingId") for one in there):
        amiss.append(f"bookings that stand in Cal.com twice: {doubled[:3]}")
    return amiss


def purchases(product: Product, ledger: Ledger) -> list[str]:
    """Each purchase waits or is claimed, once, with its credits."""
    amiss = []
    bought = [email for email, number in ledger.buyers.items() if ("whop", f"msg_on_{number}") in ledger.acknowledged]
    rows = product.rows(
        "SELECT email::text AS email, usage_credits, claimed_by_user_id FROM pending_profiles"
        " UNION ALL SELECT email::text, usage_credits, user_id FROM profiles p"
        " WHERE NOT EXISTS (SELECT FROM pending_profiles q WHERE q.email = p.email)"
    )
    held = {row["email"]: row for row in rows}
    if lost := [email for email in bought if email not in held]:
        amiss.append(f"{len(lost)} purchases are nobody's: {lost[:3]}")
    if wrong := [email for email in bought if email in held and held[email]["usage_credits"] != 1000]:
        amiss.append(f"{len(wrong)} purchases have not 1,000 credits: {wrong[:3]}")
    owners = {row["user_id"]: row for row in product.rows("SELECT user_id, membership, usage_credits FROM profiles")}
    unowned = [
        email for email, user_id in ledger.claimed.items()
        if owners.get(user_id, {}).get("usage_credits") not in (0, 1000) or user_id not in owners
    ]  # fmt: skip
    if unowned:
        amiss.append(f"{len(unowned)} claims were answered with yes and are not there: {unowned[:3]}")
    return amiss


def mails(ledger: Ledger) -> list[str]:
    """Nobody gets a mail twice."""
    twice = _twice(ledger.mails.values())
    return [f"{len(twice)} mails were sent twice: {twice[:3]}"] if twice else []


def rules(product: Product, *, patience: timedelta = PERIOD) -> list[str]:
    """The product's own invariants, as `flask verify` runs them."""
    with product.database() as database, database.read_only() as session:
        broken = invariants.broken(session, now=database.clock(), patience=patience)
    return [f"does not hold: {found.invariant.sentence} ({', '.join(found.records[:3])})" for found in broken]
