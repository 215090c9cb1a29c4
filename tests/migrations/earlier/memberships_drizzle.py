"""The memberships system: `profiles` by the identity provider's text id, and purchases that wait for their owner.

By Drizzle on PostgreSQL: native enums `membership` and `payment_provider`, `timestamp` without zone in UTC, flags and
credits that may be NULL. Purchases from before `pending_profiles` are rows of `profiles` whose id begins with `temp_`.
The tokens of the links in mails already sent stand in clear.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.migrations.earlier import made
from tests.migrations.earlier.made import Blemishes, Made, Postgres, Ugly, at, hexes

KINDS = frozenset(
    {
        "unknown_labels", "emails_by_case", "orphans", "unknown_columns", "missing_created_at", "same_external_ids",
        "claimed_by_nobody", "negative_credits", "temp_without_email", "temp_already_pending", "empty_external_ids",
    }
)  # fmt: skip
PENDING_PER, TEMP_PER, CLAIMED_PER = 4, 50, 3
CREDITS, USED = (1000, 500, 0), (0, 12, 250, 7)
START = "timestamp '2024-01-01 08:00'"


def make(address: str, *, rows: int, ugly: Ugly = True, zone: str = "UTC") -> Made:
    """Fill an empty database with `rows` profiles, one in fifty a `temp_` row, and a quarter as many that wait."""
    blemishes = Blemishes(ugly, KINDS)
    profiles, pending = _profiles(zone), _pending(zone)
    records = {name: row.pop("_record") for name, row in {**profiles, **pending}.items()}
    more_profiles, more_pending = _ugly_profiles(blemishes), _ugly_pending(blemishes)
    waiting = rows // PENDING_PER
    with made.postgres(address) as connection:
        made.note_drizzle_migrations(connection, "0000_auth-tables", "0001_pending_profiles")
        _tables(connection, blemishes)
        _fill(connection, rows, waiting)
        made.insert(connection, "profiles", [*profiles.values(), *more_profiles])
        made.insert(connection, "pending_profiles", [*pending.values(), *more_pending])
    single, more = [*profiles.values(), *more_profiles], [*pending.values(), *more_pending]
    return Made(
        system="memberships", address=address, zone=zone,
        counts={"profiles": rows + len(single), "pending_profiles": waiting + len(more)},
        sums={
            "profiles.usage_credits": _regular(rows, CREDITS) + _sum(single, "usage_credits"),
            "profiles.used_credits": _regular(rows, USED) + _sum(single, "used_credits"),
            "pending_profiles.usage_credits": _regular(waiting, CREDITS) + _sum(more, "usage_credits"),
            "pending_profiles.used_credits": _regular(waiting, USED) + _sum(more, "used_credits"),
            "pending_profiles.claimed": len(range(CLAIMED_PER, waiting + 1, CLAIMED_PER))
            + sum(row["claimed"] for row in more),
        },
        records=records, ugly=blemishes.all(),
    )  # fmt: skip


def _regular(rows: int, values: tuple[int, ...]) -> int:
    return sum(values) * (rows // len(values)) + sum(values[1 : 1 + rows % len(values)])


def _sum(rows: list[dict[str, Any]], column: str) -> int:
    return sum(row.get(column) or 0 for row in rows)


def _tables(connection: Postgres, blemishes: Blemishes) -> None:
    label = ", 'cancelled'" if "unknown_labels" in blemishes else ""
    required = "" if "missing_created_at" in blemishes else " NOT NULL"
    extra = "referral_source text, " if "unknown_columns" in blemishes else ""
    held = """whop_user_id text, whop_membership_id text, plan_duration text, billing_cycle_start timestamp,
            billing_cycle_end timestamp, next_credit_renewal timestamp, usage_credits integer DEFAULT 0,
            used_credits integer DEFAULT 0"""
    stamps = f"created_at timestamp DEFAULT now(){required}, updated_at timestamp DEFAULT now() NOT NULL"
    made.run(
        connection,
        f"CREATE TYPE membership AS ENUM('free', 'pro'{label})",
        "CREATE TYPE payment_provider AS ENUM('stripe', 'whop')",
        f"""CREATE TABLE profiles (
            user_id text PRIMARY KEY NOT NULL, email text, membership membership DEFAULT 'free' NOT NULL,
            payment_provider payment_provider DEFAULT 'whop', stripe_customer_id text,
            stripe_subscription_id text, {held}, status text DEFAULT 'active', {extra}{stamps})""",
        f"""CREATE TABLE pending_profiles (
            id text PRIMARY KEY NOT NULL, email text NOT NULL, token text,
            membership membership DEFAULT 'pro' NOT NULL,
            payment_provider payment_provider DEFAULT 'whop', {held}, claimed boolean DEFAULT false,
            claimed_by_user_id text, claimed_at timestamp, {stamps},
            CONSTRAINT pending_profiles_email_unique UNIQUE (email))""",
    )


def _fill(connection: Postgres, rows: int, waiting: int) -> None:
    began = f"{START} + n * interval '1 min'"
    held = (
        f"""{began}, {began} + interval '1 month', {began} + interval '28 days', {_choice(CREDITS)}, {_choice(USED)}"""
    )
    columns = "billing_cycle_start, billing_cycle_end, next_credit_renewal, usage_credits, used_credits"
    made.run(
        connection,
        f"""INSERT INTO profiles (user_id, email, membership, payment_provider, whop_user_id, whop_membership_id,
                plan_duration, {columns}, status, created_at, updated_at)
            SELECT CASE WHEN n % {TEMP_PER} = 0 THEN 'temp_' || n ELSE 'user_' || md5('profile' || n) END,
                'member' || n || '@example.com', 'pro', 'whop', 'user_w' || n, 'mem_' || n,
                CASE WHEN n % 2 = 0 THEN 'monthly' ELSE 'yearly' END, {held},
                CASE WHEN n % 9 = 0 THEN 'inactive' ELSE 'active' END, {began}, {began} + interval '1 day'
              FROM generate_series(1, {rows}) n""",
        f"""INSERT INTO pending_profiles (id, email, token, whop_user_id, whop_membership_id, plan_duration, {columns},
                claimed, claimed_by_user_id, claimed_at, created_at, updated_at)
            SELECT md5('pending' || n)::uuid::text, 'buyer' || n || '@example.net', md5('token' || n), 'user_p' || n,
                'mem_p' || n, 'monthly', {held}, n % {CLAIMED_PER} = 0,
                CASE WHEN n % {CLAIMED_PER} = 0 THEN 'user_' || md5('profile' || 2 * n + 1) END,
                CASE WHEN n % {CLAIMED_PER} = 0 THEN {began} + interval '1 hour' END, {began},
                {began} + interval '1 hour'
              FROM generate_series(1, {waiting}) n""",
    )


def _choice(values: tuple[int, ...]) -> str:
    return made.choice_sql("n", values)


WRITTEN_AT = datetime.fromisoformat("2023-11-05 12:00")
ENDS_AT = datetime.fromisoformat("2030-11-05 12:00")


def _profiles(zone: str) -> dict[str, dict[str, Any]]:
    """Somebody with a membership of Stripe, and a purchase from before there were pending ones."""
    return {
        "member": _profile("user_2abcMaja", "Maja.Lindqvist@example.com", zone, payment_provider="stripe",
            stripe_customer_id="cus_maja", stripe_subscription_id="sub_maja", usage_credits=1000, used_credits=120),
        "temp": _profile("temp_nora", "Nora.Temp@example.org", zone, whop_user_id="user_wnora",
            whop_membership_id="mem_nora", usage_credits=700, used_credits=12),
    }  # fmt: skip


def _profile(user_id: str, email: str | None, zone: str, **values: Any) -> dict[str, Any]:
    row = {
        "user_id": user_id, "email": email, "membership": "pro", "plan_duration": "yearly",
        "billing_cycle_start": WRITTEN_AT, "billing_cycle_end": ENDS_AT, "created_at": WRITTEN_AT, **values,
    }  # fmt: skip
    return row | {"_record": {**row, "billing_cycle_end": at(ENDS_AT, zone), "created_at": at(WRITTEN_AT, zone)}}


def _pending(zone: str) -> dict[str, dict[str, Any]]:
    """A purchase that was claimed, one whose link is in a mail still unread, and one without a link."""
    claimed = {"claimed": True, "claimed_by_user_id": "user_2abcMaja", "claimed_at": WRITTEN_AT}
    return {
        "claimed": _waiting("claimed", "Owned@example.org", zone, token=hexes("claimed token"), **claimed),
        "unclaimed": _waiting("unclaimed", "Waits@example.org", zone, token=hexes("unclaimed token")),
        "tokenless": _waiting("tokenless", "quiet@example.org", zone, token=None),
    }


def _waiting(name: str, email: str, zone: str, **values: Any) -> dict[str, Any]:
    row = {
        "id": f"pend_{name}", "email": email, "membership": "pro", "whop_user_id": f"user_w{name}",
        "whop_membership_id": f"mem_{name}", "plan_duration": "monthly", "billing_cycle_end": ENDS_AT,
        "usage_credits": 900, "used_credits": 3, "claimed": False, "created_at": WRITTEN_AT, **values,
    }  # fmt: skip
    return row | {"_record": {**row, "billing_cycle_end": at(ENDS_AT, zone), "created_at": at(WRITTEN_AT, zone)}}


def _ugly_profiles(blemishes: Blemishes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def add(kind: str, column: str, *made_rows: dict[str, Any]) -> None:
        if kind in blemishes:
            rows.extend(made_rows)
            blemishes.note(kind, "profiles", column, *[row["user_id"] for row in made_rows])

    add("unknown_labels", "membership", _plain("user_cancelled", membership="cancelled"))
    add("unknown_labels", "plan_duration", _plain("user_weekly", plan_duration="weekly"))
    add("missing_created_at", "created_at", _plain("user_undated", created_at=None))
    add("negative_credits", "used_credits", _plain("user_owing", used_credits=-5))
    add("temp_without_email", "email", _plain("temp_nobody", email=None))
    add("temp_already_pending", "email", _plain("temp_again", email="WAITS@example.org"))
    if "unknown_columns" in blemishes:
        blemishes.note("unknown_columns", "profiles", "referral_source")
    return rows


def _plain(user_id: str, **values: Any) -> dict[str, Any]:
    return {
        "user_id": user_id, "email": f"{user_id}@example.com", "membership": "pro", "usage_credits": 500,
        "used_credits": 0, "created_at": WRITTEN_AT, **values,
    }  # fmt: skip


def _ugly_pending(blemishes: Blemishes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def add(kind: str, column: str, *made_rows: dict[str, Any]) -> None:
        if kind in blemishes:
            rows.extend(made_rows)
            blemishes.note(kind, "pending_profiles", column, *[row["id"] for row in made_rows])

    add(
        "emails_by_case",
        "email",
        _purchase("case1", email="Case.Twin@example.org"),
        _purchase("case2", email="case.twin@example.org"),
    )
    add(
        "same_external_ids",
        "whop_membership_id",
        _purchase("twice1", whop_membership_id="mem_twice"),
        _purchase("twice2", whop_membership_id="mem_twice"),
    )
    add(
        "empty_external_ids",
        "whop_membership_id",
        _purchase("empty1", whop_membership_id=""),
        _purchase("empty2", whop_membership_id=""),
    )
    add("claimed_by_nobody", "claimed_by_user_id", _purchase("nobody", claimed=True, claimed_at=WRITTEN_AT))
    add("orphans", "claimed_by_user_id", _purchase("gone", claimed=True, claimed_by_user_id="user_gone",
        claimed_at=WRITTEN_AT))  # fmt: skip
    return rows


def _purchase(name: str, **values: Any) -> dict[str, Any]:
    return {
        "id": f"pend_{name}", "email": f"{name}@example.org", "token": hexes(name), "whop_membership_id": f"mem_{name}",
        "usage_credits": 100, "used_credits": 1, "claimed": False, "created_at": WRITTEN_AT, **values,
    }  # fmt: skip
