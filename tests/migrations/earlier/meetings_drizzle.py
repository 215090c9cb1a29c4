"""The meetings system: `meetings` by uuid, whose guests were being given accounts, and `organizations`. By Drizzle.

`start_time` and `end_time` are `timestamp` without zone in UTC; the enum `payment_transfer_status_enum` is there, which
made a generated migration stop half way: `guest_columns` says which columns were added by hand since. `guest_org_id` is
an organization's own uuid, not the id that WorkOS knows it by (`organizations.workos_org_id`).

Two shapes: with `practitioners` and a status of its own; or with `events`, where the host is a WorkOS user
(`workos_user_id`), their name stands in a table `profiles` that has nothing to do with memberships, and what became of
a meeting is only told by its payment.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from tests.migrations.earlier import made
from tests.migrations.earlier.made import FIRST_DAY, MINUTES, SLOTS_A_DAY, Blemishes, Made, Postgres, Ugly, at, hexes

Shape = Literal["practitioners", "events"]

KINDS = frozenset(
    {
        "unknown_labels", "emails_by_case", "orphans", "overlaps", "past_pending", "unknown_columns",
        "missing_created_at", "clock_changes", "ends_before_start", "negative_money", "organization_gone",
    }
)  # fmt: skip
GUEST_COLUMNS = {
    "guest_email": "text",
    "guest_name": "text",
    "guest_workos_user_id": "text",
    "guest_org_id": "uuid",
}
HALF_APPLIED = ("guest_email", "guest_name", "guest_org_id")
ORGANIZATIONS = 40
WRITTEN_AT = datetime.fromisoformat("2022-01-31 08:30:00.125")


@dataclass(frozen=True)
class _Names:
    """What the two shapes call the same, and how they say it."""

    host: str
    money: str
    status: str
    confirmed: str
    pending: str
    unknown: str
    usual: tuple[str, ...]
    people: str
    personal: str


NAMES: dict[Shape, _Names] = {
    "practitioners": _Names("practitioner_id", "price", "status", "confirmed", "pending", "cancelled",
        ("canceled", "confirmed", "completed", "completed", "no_show"), "practitioners", "personal"),
    "events": _Names("workos_user_id", "stripe_amount", "stripe_payment_status", "succeeded", "pending",
        "requires_capture", ("refunded", "succeeded", "succeeded", "failed", "succeeded"), "users", "member_personal"),
}  # fmt: skip


def make(
    address: str,
    *,
    rows: int,
    ugly: Ugly = True,
    guest_columns: Collection[str] = HALF_APPLIED,
    shape: Shape = "practitioners",
    zone: str = "UTC",
) -> Made:
    """Fill an empty database with `rows` regular meetings, no two of one host's at once, and the single ones."""
    blemishes, names = Blemishes(ugly, KINDS), NAMES[shape]
    single = _Single(names, guest_columns, shape, zone, blemishes)
    records = single.named()
    single.uglify()
    with made.postgres(address) as connection:
        made.note_drizzle_migrations(connection, "0000_steep_warbound", "0001_rls")
        _tables(connection, guest_columns, shape, blemishes)
        hosts = _hosts(connection, rows, shape, blemishes)
        organizations = _organizations(connection, names, blemishes)
        _regular(connection, rows, guest_columns, shape)
        made.insert(connection, "meetings", single.meetings)
        _constraints(connection, guest_columns, shape)
    people = {names.people: hosts} | ({"profiles": hosts, "events": 1} if shape == "events" else {})
    return Made(
        system="meetings", address=address, zone=zone,
        counts={**people, "organizations": organizations, "meetings": rows + len(single.meetings)},
        sums={f"meetings.{names.money}": made.price_sum(rows) + single.minor}, records=records, ugly=blemishes.all(),
    )  # fmt: skip


def uuid(kind: str, number: int | str) -> UUID:
    """An id that is the same at every run."""
    return UUID(hexes(f"{kind}{number}"))


def uuid_sql(kind: str, number: str) -> str:
    return f"md5('{kind}' || {number})::uuid"


def hosts_for(rows: int) -> int:
    return max(20, min(200, rows // 5000))


class _Single:
    """The meetings that a test looks for, and those with something amiss; all of the first host's."""

    def __init__(
        self, names: _Names, guest_columns: Collection[str], shape: Shape, zone: str, blemishes: Blemishes
    ) -> None:
        self.names, self.guest_columns, self.shape, self.zone = names, guest_columns, shape, zone
        self.blemishes = blemishes
        self.meetings: list[dict[str, Any]] = []
        self.minor = 0

    def add(self, start: str, status: str = "", amount: int = 9000, **values: Any) -> UUID:
        number = len(self.meetings) + 1
        key, began = uuid("single meeting", number), datetime.fromisoformat(start)
        guest = {
            "guest_email": f"guest{number}@example.net", "guest_name": f"Guest {number}",
            "guest_workos_user_id": f"user_x{number}", "guest_org_id": uuid("org", 1),
        }  # fmt: skip
        event = {"event_id": uuid("event", 1), "timezone": "Europe/Berlin"} if self.shape == "events" else {}
        self.meetings.append({
            "id": key, self.names.host: self._host(1), **{name: guest[name] for name in self._guest_columns()},
            "start_time": began, "end_time": began + timedelta(minutes=MINUTES),
            self.names.status: status or self.names.usual[2], self.names.money: amount, **event,
            "created_at": WRITTEN_AT, "updated_at": WRITTEN_AT, **values,
        })  # fmt: skip
        self.minor += amount
        return key

    def _guest_columns(self) -> list[str]:
        return [name for name in GUEST_COLUMNS if name in self.guest_columns]

    def _host(self, number: int | str) -> Any:
        return f"user_host{number}" if self.shape == "events" else uuid("host", number)

    def named(self) -> dict[str, dict[str, Any]]:
        known = {"guest_email": "Gusto.Guest@example.org", "guest_name": "Gusto Guest", "guest_org_id": uuid("org", 2)}
        known = {column: value for column, value in known.items() if column in self.guest_columns}
        self.add("2031-07-15 10:00", self.names.confirmed, 12000, **known)
        row = self.meetings[-1]
        meeting = {
            **row, "starts_at": at(row["start_time"], self.zone), "ends_at": at(row["end_time"], self.zone),
            "amount_minor": 12000, "guest_workos_org_id": "org_01H2",
        }  # fmt: skip
        self.add("2022-07-05 14:00", **{name: made.ODD_TEXT for name in self._guest_columns() if name == "guest_name"})
        team = {"id": uuid("org", "team"), "workos_org_id": "org_01HTEAM", "name": "The Team", "type": "team"}
        return {"meeting": meeting, "odd_meeting": self.meetings[-1], "team_organization": team}

    def uglify(self) -> None:
        for hour in ("09", "11"):
            self._put("past_pending", self.names.status, (f"2022-03-04 {hour}:00", self.names.pending))
            self._put("unknown_labels", self.names.status, (f"2022-03-05 {hour}:00", self.names.unknown))
            self._put("missing_created_at", "created_at", (f"2022-03-06 {hour}:00",), created_at=None)
            gone = {self.names.host: self._host("gone")}
            self._put("orphans", self.names.host, (f"2022-03-07 {hour}:00",), **gone)
            if "guest_org_id" in self.guest_columns:
                nowhere = {"guest_org_id": uuid("org", "gone")}
                self._put("organization_gone", "guest_org_id", (f"2022-03-08 {hour}:00",), **nowhere)
        for _ in range(2):
            self._put("overlaps", "start_time", ("2022-03-03 09:00", self.names.confirmed))
        early = datetime.fromisoformat("2022-03-09 08:00")
        self._put("ends_before_start", "end_time", ("2022-03-09 09:00",), end_time=early)
        self._put("negative_money", self.names.money, ("2022-03-10 09:00", "", -4500))
        for local in made.clock_change(self.zone) or ():
            self._put("clock_changes", "start_time", (local.isoformat(),), end_time=local + timedelta(minutes=20))
        if "unknown_columns" in self.blemishes:
            self.blemishes.note("unknown_columns", "meetings", "guest_locale")

    def _put(self, kind: str, column: str, arguments: tuple[Any, ...], **values: Any) -> None:
        if kind in self.blemishes:
            self.blemishes.note(kind, "meetings", column, self.add(*arguments, **values))


KEY = "id uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL"
STAMPS = "created_at timestamp DEFAULT now() NOT NULL, updated_at timestamp DEFAULT now() NOT NULL"


def _tables(connection: Postgres, guest_columns: Collection[str], shape: Shape, blemishes: Blemishes) -> None:
    required = "" if "missing_created_at" in blemishes else " NOT NULL"
    guests = "".join(f"{name} {kind}, " for name, kind in GUEST_COLUMNS.items() if name in guest_columns)
    extra = "guest_locale text, " if "unknown_columns" in blemishes else ""
    stamps = f"created_at timestamp DEFAULT now(){required}, updated_at timestamp DEFAULT now() NOT NULL"
    times = "start_time timestamp NOT NULL, end_time timestamp NOT NULL"
    made.run(
        connection,
        "CREATE TYPE payment_transfer_status_enum AS ENUM('PENDING', 'APPROVED', 'READY', 'COMPLETED', "
        "'FAILED', 'REFUNDED', 'DISPUTED')",
        f"""CREATE TABLE organizations ({KEY}, workos_org_id text NOT NULL, slug text NOT NULL, name text NOT NULL,
            type text NOT NULL, {STAMPS}, CONSTRAINT organizations_workos_org_id_unique UNIQUE (workos_org_id),
            CONSTRAINT organizations_slug_unique UNIQUE (slug))""",
        """CREATE TABLE payment_transfers (id serial PRIMARY KEY NOT NULL, payment_intent_id text NOT NULL,
            amount integer NOT NULL, currency text DEFAULT 'eur' NOT NULL,
            status payment_transfer_status_enum DEFAULT 'PENDING' NOT NULL)""",
    )
    if shape == "events":
        _tables_of_events(connection, guests, times, extra, stamps)
        return
    label = ", 'cancelled'" if "unknown_labels" in blemishes else ""
    made.run(
        connection,
        "CREATE TYPE meeting_status AS ENUM('pending', 'confirmed', 'canceled', 'completed', 'no_show', "
        f"'refunded'{label})",
        f"""CREATE TABLE practitioners ({KEY}, name text NOT NULL, email text NOT NULL,
            timezone text DEFAULT 'UTC' NOT NULL, is_active boolean DEFAULT true NOT NULL, {STAMPS})""",
        f"""CREATE TABLE meetings ({KEY}, practitioner_id uuid NOT NULL, {guests}{times},
            status meeting_status DEFAULT 'pending' NOT NULL, price integer DEFAULT 0 NOT NULL,
            currency text DEFAULT 'eur' NOT NULL, {extra}{stamps})""",
    )


def _tables_of_events(connection: Postgres, guests: str, times: str, extra: str, stamps: str) -> None:
    made.run(
        connection,
        f"""CREATE TABLE users ({KEY}, workos_user_id text NOT NULL, email text NOT NULL, stripe_customer_id text,
            country text DEFAULT 'PT', {STAMPS}, CONSTRAINT users_workos_user_id_unique UNIQUE (workos_user_id))""",
        f"""CREATE TABLE profiles ({KEY}, workos_user_id text NOT NULL, first_name text NOT NULL,
            last_name text NOT NULL, published boolean DEFAULT false NOT NULL, {STAMPS},
            CONSTRAINT profiles_workos_user_id_unique UNIQUE (workos_user_id))""",
        f"""CREATE TABLE events ({KEY}, workos_user_id text NOT NULL, name text NOT NULL, slug text NOT NULL,
            duration_in_minutes integer NOT NULL, is_active boolean DEFAULT true NOT NULL,
            price integer DEFAULT 0 NOT NULL, currency text DEFAULT 'eur' NOT NULL, {STAMPS})""",
        f"""CREATE TABLE meetings ({KEY}, event_id uuid NOT NULL, workos_user_id text NOT NULL, {guests}{times},
            timezone text NOT NULL, meeting_url text, stripe_payment_intent_id text, stripe_session_id text,
            stripe_payment_status text DEFAULT 'pending', stripe_amount integer, {extra}{stamps},
            CONSTRAINT meetings_stripe_payment_intent_id_unique UNIQUE (stripe_payment_intent_id),
            CONSTRAINT meetings_stripe_session_id_unique UNIQUE (stripe_session_id),
            CONSTRAINT meetings_event_id_events_id_fk FOREIGN KEY (event_id) REFERENCES events (id)
                ON DELETE cascade)""",
    )


def _hosts(connection: Postgres, rows: int, shape: Shape, blemishes: Blemishes) -> int:
    people = [
        (f"Host {n}" if n > 1 else "Dr Ada Brandt", f"host{n}@clinic.example") for n in range(1, hosts_for(rows) + 1)
    ]
    if "emails_by_case" in blemishes:
        people += [("Case Twin", "Case.Twin@clinic.example"), ("Case Twin again", "case.twin@clinic.example")]
    keys = [uuid("host", n) for n in range(1, len(people) + 1)]
    if "emails_by_case" in blemishes:
        blemishes.note("emails_by_case", NAMES[shape].people, "email", *keys[-2:])
    if shape == "practitioners":
        given = [{"id": key, "name": name, "email": email} for key, (name, email) in zip(keys, people, strict=True)]
        made.insert(connection, "practitioners", given)
        return len(people)
    for number, (key, (name, email)) in enumerate(zip(keys, people, strict=True), start=1):
        known = {"workos_user_id": f"user_host{number}"}
        first, _, last = name.rpartition(" ")
        made.insert(connection, "users", [{"id": key, **known, "email": email}])
        made.insert(connection, "profiles", [{**known, "first_name": first, "last_name": last}])
    talk = {"id": uuid("event", 1), "workos_user_id": "user_host1", "name": "Talk", "slug": "talk", "price": 9000}
    made.insert(connection, "events", [talk | {"duration_in_minutes": MINUTES}])
    return len(people)


def _organizations(connection: Postgres, names: _Names, blemishes: Blemishes) -> int:
    named = [("team", "org_01HTEAM", "The Team", "team")]
    if "unknown_labels" in blemishes:
        named.append(("school", "org_01HSCHOOL", "The School", "educational_institution"))
        blemishes.note("unknown_labels", "organizations", "type", uuid("org", "school"))
    personal = [(n, f"org_01H{n}", f"Guest {n}", names.personal) for n in range(1, ORGANIZATIONS + 1)]
    rows = [
        {"id": uuid("org", key), "workos_org_id": known, "slug": f"org-{key}", "name": name, "type": kind}
        for key, known, name, kind in [*personal, *named]
    ]
    made.insert(connection, "organizations", rows)
    return len(rows)


def _regular(connection: Postgres, rows: int, guest_columns: Collection[str], shape: Shape) -> None:
    names, hosts = NAMES[shape], hosts_for(rows)
    slot, whose = f"((n - 1) / {hosts})", f"(1 + (n - 1) % {hosts})"
    start = (
        f"timestamp '{FIRST_DAY}' + {slot} / {SLOTS_A_DAY} * interval '1 day' "
        f"+ (9 + {slot} % {SLOTS_A_DAY}) * interval '1 hour'"
    )
    status = made.choice_sql("n", [f"'{label}'" for label in names.usual])
    # Half of the guests have been given an account.
    guests = {
        "guest_email": "'guest' || n % 5000 || '@example.com'",
        "guest_name": "'Guest ' || n % 5000",
        "guest_workos_user_id": "CASE WHEN n % 2 = 0 THEN 'user_g' || n % 5000 END",
        "guest_org_id": f"CASE WHEN n % 2 = 0 THEN {uuid_sql('org', f'(1 + n % {ORGANIZATIONS})')} END",
    }
    values = {
        "id": uuid_sql("meeting", "n"),
        names.host: f"'user_host' || {whose}" if shape == "events" else uuid_sql("host", whose),
        **{column: value for column, value in guests.items() if column in guest_columns},
        "start_time": start,
        "end_time": f"{start} + interval '{MINUTES} min'",
        names.status: f"({status})" if shape == "events" else f"({status})::meeting_status",
        names.money: made.choice_sql("n", made.PRICES),
        "created_at": f"{start} - interval '3 days'",
        "updated_at": f"{start} - interval '2 days'",
    } | ({"event_id": f"'{uuid('event', 1)}'::uuid", "timezone": "'Europe/Berlin'"} if shape == "events" else {})
    made.run(
        connection,
        f"INSERT INTO meetings ({', '.join(values)}) SELECT {', '.join(values.values())} "
        f"FROM generate_series(1, {rows}) n",
    )


def _constraints(connection: Postgres, guest_columns: Collection[str], shape: Shape) -> None:
    """The host is known by no foreign key; the guests' indexes came with their columns."""
    indexed = {"guest_workos_user_id": "meetings_guest_user_id_idx", "guest_org_id": "meetings_guest_org_id_idx"}
    made.run(
        connection,
        f"CREATE INDEX meetings_user_id_idx ON meetings USING btree ({NAMES[shape].host})",
        *[
            f"CREATE INDEX {name} ON meetings USING btree ({column})"
            for column, name in indexed.items()
            if column in guest_columns
        ],
    )
