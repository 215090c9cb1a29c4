"""Rows of ours that follow from what was brought over, as they follow from what the product writes itself.

Each part may be done again, and leaves alone whoever has such rows already.
"""

from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.services import memberships
from admin_app.services.memberships.rows import of_each
from models.move_in import MovedRow
from models.purchases import PendingProfile, Profile

AT_ONCE = 500

_OF_RUN = (
    "(SELECT m.record FROM moved_rows m WHERE m.run_id = :run AND m.table_name = '{table}' AND m.record IS NOT NULL)"
)
_CUSTOMERS = """
INSERT INTO client_customers (stripe_customer_id, client_id, since, created_at, updated_at)
SELECT c.stripe_customer_id, c.id, c.updated_at, c.updated_at, c.updated_at
  FROM clients c WHERE c.stripe_customer_id IS NOT NULL AND c.id::text IN {of_run}
ON CONFLICT DO NOTHING
"""
# Whoever signed in last under an address has it.
_ADDRESSES_OF_USERS = """
INSERT INTO person_addresses (user_id, email, is_primary, verified_at)
SELECT DISTINCT ON (u.email) u.open_id, u.email, true, u.created_at
  FROM users u
 WHERE u.email IS NOT NULL AND u.id::text IN {of_run}
   AND NOT EXISTS (SELECT FROM person_addresses a WHERE a.user_id = u.open_id)
 ORDER BY u.email, u.last_signed_in DESC, u.id DESC
ON CONFLICT DO NOTHING
"""
_ADDRESSES_OF_PROFILES = """
INSERT INTO person_addresses (user_id, email, is_primary, verified_at)
SELECT DISTINCT ON (p.email) p.user_id, p.email,
       NOT EXISTS (SELECT FROM person_addresses a WHERE a.user_id = p.user_id AND a.is_primary), p.created_at
  FROM profiles p
 WHERE p.email IS NOT NULL AND NOT starts_with(p.user_id, 'temp_') AND p.user_id IN {of_run}
   AND NOT EXISTS (SELECT FROM users u WHERE u.email = p.email AND u.open_id <> p.user_id)
   AND NOT EXISTS (SELECT FROM person_addresses a WHERE a.email = p.email)
 ORDER BY p.email, p.membership DESC, p.updated_at DESC
ON CONFLICT DO NOTHING
"""
_TOKENS = """
INSERT INTO claim_tokens (digest, pending_profile_id, sent_at, expires_at)
SELECT p.token, p.id, p.updated_at, p.token_expires_at
  FROM pending_profiles p WHERE p.token IS NOT NULL AND p.id::text IN {of_run}
ON CONFLICT DO NOTHING
"""
_LINKS = """
INSERT INTO booking_links (booking_id, provider, external_id, starts_at, canceled_at, created_at)
SELECT b.id, '{provider}', b.{column}, b.starts_at,
       CASE WHEN b.status = 'canceled' THEN coalesce(b.canceled_at, b.updated_at) END, b.created_at
  FROM bookings b WHERE b.{column} IS NOT NULL AND b.id::text IN {of_run}
ON CONFLICT DO NOTHING
"""
_ATTENDEES = """
INSERT INTO booking_attendees (booking_id, provider, external_id, name, email, time_zone, since, gone_at)
SELECT b.id, '{provider}', {identity}, b.client_name, b.client_email, b.client_time_zone, b.created_at,
       CASE WHEN b.status = 'canceled' THEN coalesce(b.canceled_at, b.updated_at) END
  FROM bookings b
 WHERE b.{column} IS NOT NULL AND {identity} IS NOT NULL AND b.id::text IN {of_run}
   AND NOT EXISTS (SELECT FROM booking_attendees a WHERE a.booking_id = b.id AND a.provider = '{provider}')
"""
_HOSTS = """
INSERT INTO booking_hosts (booking_id, practitioner_id, provider, since)
SELECT b.id, b.practitioner_id, '{provider}', b.created_at
  FROM bookings b
 WHERE b.{column} IS NOT NULL AND b.id::text IN {of_run}
   AND NOT EXISTS (SELECT FROM booking_hosts h WHERE h.booking_id = b.id AND h.provider = '{provider}')
"""
_CALENDARS = (
    {"provider": "calendly", "column": "calendly_invitee_uri", "identity": "b.calendly_invitee_uri"},
    {"provider": "calcom", "column": "calcom_booking_uid", "identity": "lower(b.client_email::text)"},
)
STATEMENTS: dict[str, tuple[str, ...]] = {
    "clients": (_CUSTOMERS,),
    "users": (_ADDRESSES_OF_USERS,),
    "profiles": (_ADDRESSES_OF_PROFILES,),
    "pending_profiles": (_TOKENS,),
    "bookings": tuple(
        statement.format(**calendar, of_run="{of_run}")
        for calendar in _CALENDARS
        for statement in (_LINKS, _ATTENDEES, _HOSTS)
    ),
}


def fill(ctx: Ctx, *, table: str, run_id: int) -> None:
    """What follows from rows of this table that the run wrote, by whole sets."""
    for statement in STATEMENTS.get(table, ()):
        ctx.session.execute(text(statement.format(of_run=_OF_RUN.format(table=table))), {"run": run_id})


def holders(session: Session, *, run_id: int, after: tuple[str, str]) -> Sequence[tuple[str, str]]:
    """The next accounts and purchases that the run wrote, as (table, record)."""
    found = (
        select(MovedRow.table_name, MovedRow.record)
        .where(
            MovedRow.run_id == run_id,
            MovedRow.table_name.in_(["profiles", "pending_profiles"]),
            MovedRow.record.is_not(None),
            (MovedRow.table_name > after[0]) | ((MovedRow.table_name == after[0]) & (MovedRow.record > after[1])),
        )
        .order_by(MovedRow.table_name, MovedRow.record)
        .limit(AT_ONCE)
    )
    return [(table, str(record)) for table, record in session.execute(found)]


def give_memberships(ctx: Ctx, holders: Sequence[tuple[str, str]]) -> None:
    """What the columns of these tell of becomes a row each, all of them by a few statements."""
    users = [record for table, record in holders if table == "profiles"]
    purchases = [int(record) for table, record in holders if table == "pending_profiles"]
    waiting = select(PendingProfile).where(PendingProfile.id.in_(purchases), ~PendingProfile.claimed)
    accounts = select(Profile).where(Profile.user_id.in_(users))
    locked: list[memberships.Holder] = [
        *ctx.session.scalars(waiting.order_by(PendingProfile.id).with_for_update()),
        *ctx.session.scalars(accounts.order_by(Profile.user_id).with_for_update()),
    ]
    of_each(ctx, locked)
