"""The numbers that operators of the earlier systems compare before and after, under ours or the earlier names."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from admin_app.services.migrating.catalogue import Catalogue
from admin_app.services.migrating.report import Line, Section, Verdict
from migrations import other_names

_QUOTE = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Total:
    """Rows of a table for which `condition` holds, in which `{0}` stands for the first column, and so on."""

    name: str
    table: str
    columns: tuple[str, ...] = ()
    condition: str = ""


TOTALS = (
    Total("clients in all", "clients"),
    Total("onboarding incomplete", "clients", ("onboarding_complete",), "{0} IS NOT TRUE"),
    Total("outbound active", "clients", ("outbound_paused",), "{0} IS NOT TRUE"),
    Total("AI enabled", "clients", ("ai_disabled",), "{0} IS NOT TRUE"),
    Total("no billing", "clients", ("billing_status",), "coalesce({0}::text, 'none') = 'none'"),
    Total("payment active", "clients", ("payment_active",), "{0}"),
    Total("cancellation pending", "clients", ("pending_cancellation",), "{0}"),
    Total("onboarding states", "onboarding_states"),
    Total("practitioners", "practitioners"),
    Total("session types", "session_types"),
    Total("session types with a Calendly id", "session_types", ("calendly_event_type_id",), "{0} IS NOT NULL"),
    Total("session types with a Calendly address", "session_types", ("calendly_event_type_uri",), "{0} IS NOT NULL"),
    Total("bookings", "bookings"),
    Total("bookings with a Calendly event id", "bookings", ("calendly_event_id",), "{0} IS NOT NULL"),
    Total("bookings with a Calendly event address", "bookings", ("calendly_event_uri",), "{0} IS NOT NULL"),
    Total("bookings with a Calendly invitee", "bookings", ("calendly_invitee_uri",), "{0} IS NOT NULL"),
    Total("meetings", "meetings"),
    Total("meetings with a guest", "meetings", ("guest_email",), "{0} IS NOT NULL"),
    Total("meetings with a guest known to WorkOS", "meetings", ("guest_workos_user_id",), "{0} IS NOT NULL"),
    Total("meetings with a guest's organization", "meetings", ("guest_org_id",), "{0} IS NOT NULL"),
    Total("accounts (profiles)", "profiles", ("user_id",), "{0} NOT LIKE 'temp\\_%'"),
    Total("pro accounts", "profiles", ("user_id", "membership"), "{0} NOT LIKE 'temp\\_%' AND {1}::text = 'pro'"),
    Total("users", "users"),
)
LEFT_NAME = "temp_ rows that could move (flask legacy move)"
CLAIMS = (
    Total("temp_ rows left in profiles", "profiles", ("user_id",), "{0} LIKE 'temp\\_%'"),
    Total(
        "of them without an e-mail, which stay", "profiles", ("user_id", "email"), "{0} LIKE 'temp\\_%' AND {1} IS NULL"
    ),
    Total("waiting purchases, not claimed", "pending_profiles", ("claimed",), "{0} IS NOT TRUE"),
    Total("waiting purchases, claimed", "pending_profiles", ("claimed",), "{0}"),
    Total(
        "claimed without an account",
        "pending_profiles",
        ("claimed", "claimed_by_user_id"),
        "{0} AND {1} IS NULL",
    ),
)
# More than none of these is a fault: nobody has what was claimed.
MUST_BE_NONE = {"claimed without an account"}
MOVABLE = text(
    "SELECT count(*) FROM public.profiles p WHERE user_id LIKE 'temp\\_%' AND email IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM public.pending_profiles w WHERE lower(w.email::text) = lower(p.email::text))"
)


def sections(connection: Connection, there: Catalogue) -> list[Section]:
    """What is compared before and after a migration: numbers of rows, and of claims by their state."""
    header = ("What", "How many")
    claims = [*(_line(connection, there, total) for total in CLAIMS), *_movable(connection, there)]
    return [
        Section("Totals", header, tuple(_line(connection, there, total) for total in TOTALS)),
        Section("Claims", header, tuple(claims)),
    ]


def _movable(connection: Connection, there: Catalogue) -> Iterator[Line]:
    if there.has("profiles", "user_id", "email") and there.has("pending_profiles", "email"):
        how_many = connection.scalar(MOVABLE) or 0
        yield Line((LEFT_NAME, f"{how_many:,}"), Verdict.WRONG if how_many else Verdict.OK)


def _line(connection: Connection, there: Catalogue, total: Total) -> Line:
    table = table_called(there, total.table)
    if table is None:
        return Line((total.name, ""), Verdict.WRONG, f"the table {total.table} is missing")
    columns = [column_called(there, table, total.table, name) for name in total.columns]
    missing = [name for name, found in zip(total.columns, columns, strict=True) if found is None]
    if missing:
        return Line((total.name, ""), Verdict.WRONG, f"the column {total.table}.{missing[0]} is missing")
    found = [name for name in columns if name is not None]
    condition = total.condition.format(*(_QUOTE(name) for name in found)) if total.condition else "true"
    counted = f"SELECT count(*) FROM public.{_QUOTE(table)} WHERE {condition}"  # noqa: S608  quoted names
    how_many = connection.exec_driver_sql(counted.replace("%", "%%")).scalar_one()
    read_as = [_QUOTE(name) for name in (table, *found) if name not in {total.table, *total.columns}]
    cells = (total.name, f"{how_many:,}")
    if total.name in MUST_BE_NONE and how_many:
        return Line(cells, Verdict.WRONG, "look at these")
    return Line(cells, Verdict.NOTE, f"counted in {', '.join(read_as)}") if read_as else Line(cells)


def table_called(there: Catalogue, name: str) -> str | None:
    """The table of this name, or the one that an earlier system called otherwise."""
    if name in there.tables:
        return name
    return next((other for other in there.tables if other_names.of_table(other) == other_names.of_table(name)), None)


def column_called(there: Catalogue, table: str, of: str, name: str) -> str | None:
    """The column of this name, or the one of an earlier system that means the same."""
    columns = there.tables[table]
    if name in columns:
        return name
    return next((other for other, ours in other_names.columns(of, columns, [name]) if ours == name), None)
