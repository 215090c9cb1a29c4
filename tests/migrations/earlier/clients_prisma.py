"""The clients system: `clients` with their switches and `onboarding_states`, by Prisma on PostgreSQL.

Quoted camelCase columns, cuid or serial keys, `TIMESTAMP(3)` without zone in UTC, `"updatedAt"` that is NOT NULL and
has no default because Prisma's client fills it, the native enum `"BillingStatus"`. An onboarding state points to its
client as `"customerId"` (as it was at first), as `"clientId"`, or has both, the later one half filled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from tests.migrations.earlier import made
from tests.migrations.earlier.made import Blemishes, Made, Postgres, Ugly, at, cuid, cuid_sql

Ids = Literal["cuid", "int"]
Names = Literal["mapped", "default"]
Link = Literal["clientId", "customerId", "both"]

KINDS = frozenset(
    {
        "unknown_labels", "emails_by_case", "orphans", "unknown_columns", "missing_created_at", "same_external_ids",
        "empty_external_ids", "states_twice", "clock_changes",
    }
)  # fmt: skip
TABLES: dict[Names, tuple[str, str]] = {
    "mapped": ("clients", "onboarding_states"),
    "default": ("Client", "OnboardingState"),
}
FLAGS = ("onboardingComplete", "outboundPaused", "aiDisabled", "paymentActive", "pendingCancellation")
# A flag is set in one row of so many.
EVERY = {"onboardingComplete": 2, "outboundPaused": 7, "aiDisabled": 11, "paymentActive": 3, "pendingCancellation": 13}
STATE_EVERY = {"forwardingEnabled": 2, "testCallDetected": 4}
LABELS = ("none", "trial", "active", "canceled", "past_due")
WRITTEN_AT = datetime.fromisoformat("2023-03-14 15:09:26.535")
GONE = 999_999


def make(
    address: str,
    *,
    rows: int,
    ugly: Ugly = True,
    ids: Ids = "cuid",
    tables: Names = "mapped",
    link: Link = "clientId",
    zone: str = "UTC",
) -> Made:
    """Fill an empty database with `rows` regular clients, each with an onboarding state, and the single ones."""
    blemishes = Blemishes(ugly, KINDS)
    clients_table, states_table = TABLES[tables]
    single = _Single(rows, ids, link, clients_table, states_table, zone, blemishes)
    records = single.named()
    single.uglify()
    with made.postgres(address) as connection:
        made.note_prisma_migrations(connection, "20230101000000_init", "20230601000000_guards")
        _tables(connection, clients_table, states_table, ids, link, blemishes)
        _fill(connection, clients_table, states_table, rows, ids, link)
        made.insert(connection, clients_table, single.clients)
        made.insert(connection, states_table, single.states)
        _constraints(connection, clients_table, states_table, link, blemishes)
        if ids == "int":
            made.catch_up(connection, clients_table, states_table)
    return Made(
        system="clients", address=address, zone=zone,
        counts={clients_table: rows + len(single.clients), states_table: rows + len(single.states)},
        sums=_sums(single, rows), records=records, ugly=blemishes.all(),
    )  # fmt: skip


def _sums(single: _Single, rows: int) -> dict[str, int]:
    flags = {
        f"{single.clients_table}.{flag}": rows // every + sum(bool(row.get(flag)) for row in single.clients)
        for flag, every in EVERY.items()
    }
    steps = {
        f"{single.states_table}.{flag}": rows // every + sum(bool(row.get(flag)) for row in single.states)
        for flag, every in STATE_EVERY.items()
    }
    return flags | steps


class _Single:
    """The rows that a test looks for, and those with something amiss."""

    def __init__(
        self, rows: int, ids: Ids, link: Link, clients_table: str, states_table: str, zone: str, blemishes: Blemishes
    ) -> None:
        self.rows, self.ids, self.link, self.zone, self.blemishes = rows, ids, link, zone, blemishes
        self.clients_table, self.states_table = clients_table, states_table
        self.clients: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []

    def _key(self, kind: str, number: int) -> Any:
        return number if self.ids == "int" else cuid(kind, number)

    def client(self, name: str, **values: Any) -> Any:
        key = self._key("client", self.rows + len(self.clients) + 1)
        email = f"office{self.rows + len(self.clients) + 1}@client.example"
        row = {
            "id": key, "name": name, "email": email, "phone": "+44 20 7946 0001", "createdAt": WRITTEN_AT,
            "updatedAt": WRITTEN_AT, **values,
        }  # fmt: skip
        self.clients.append(row)
        return key

    def state(self, client: Any, **values: Any) -> Any:
        key = self._key("state", self.rows + len(self.states) + 1)
        columns = ("clientId", "customerId") if self.link == "both" else (self.link,)
        link = dict.fromkeys(columns, client)
        self.states.append({"id": key, **link, "createdAt": WRITTEN_AT, "updatedAt": WRITTEN_AT, **values})
        return key

    def named(self) -> dict[str, dict[str, Any]]:
        asked = datetime.fromisoformat("2024-02-29 09:15:00.250")
        wanted: dict[str, dict[str, Any]] = {
            "paused_client": {"name": "Harbour Dental", "outboundPaused": True, "billingStatus": "active",
                "paymentActive": True, "onboardingComplete": True},
            "ai_disabled_client": {"name": "Oak & Sons", "aiDisabled": True, "billingStatus": "trial",
                "trialUsedAt": asked},
            "past_due_client": {"name": "Mill Street Garage", "billingStatus": "past_due",
                "stripeCustomerId": "cus_mill", "stripeSubscriptionId": "sub_mill"},
            "leaving_client": {"name": "Quay Physio", "pendingCancellation": True, "cancellationRequestedAt": asked,
                "billingStatus": "active"},
            "odd_client": {"name": made.ODD_TEXT, "email": "odd@client.example"},
        }  # fmt: skip
        records: dict[str, dict[str, Any]] = {}
        for name, values in wanted.items():
            key = self.client(**values)
            state = self.state(key, forwardingEnabled=name == "paused_client", currentStep="forwarding")
            moments = {column: at(value, self.zone) for column, value in values.items() if isinstance(value, datetime)}
            records[name] = {**self.clients[-1], **moments, "createdAt": at(WRITTEN_AT, self.zone), "state_id": state}
        return records

    def uglify(self) -> None:
        self._one("unknown_labels", "billingStatus", self.client, "Spelt Otherwise", billingStatus="cancelled")
        self._one("missing_created_at", "createdAt", self.client, "Without A Date", createdAt=None)
        for spelling in ("Reception@twins.example", "reception@TWINS.example"):
            self._one("emails_by_case", "email", self.client, f"Twins {spelling[0]}", email=spelling)
        for name in ("Same Once", "Same Again"):
            self._one("same_external_ids", "stripeCustomerId", self.client, name, stripeCustomerId="cus_twice")
        for name in ("Empty Once", "Empty Again"):
            self._one("empty_external_ids", "stripeCustomerId", self.client, name, stripeCustomerId="")
        self._states()
        if "unknown_columns" in self.blemishes:
            self.blemishes.note("unknown_columns", self.clients_table, "voiceAgentId")

    def _one(self, kind: str, column: str, add: Any, *arguments: Any, **values: Any) -> None:
        if kind in self.blemishes:
            self.blemishes.note(kind, self.clients_table, column, add(*arguments, **values))

    def _states(self) -> None:
        column = "customerId" if self.link == "customerId" else "clientId"
        if "orphans" in self.blemishes:
            gone = self.state(self._key("client", GONE))
            self.blemishes.note("orphans", self.states_table, column, gone)
        if "states_twice" in self.blemishes:
            client = self.client("Onboarded Twice")
            twice = [self.state(client, forwardingEnabled=flag) for flag in (False, True)]
            self.blemishes.note("states_twice", self.states_table, column, *twice)
        change = made.clock_change(self.zone)
        if "clock_changes" in self.blemishes and change:
            for local in change:
                key = self.client(f"At {local:%d %B}", trialUsedAt=local)
                self.blemishes.note("clock_changes", self.clients_table, "trialUsedAt", key)


def _tables(
    connection: Postgres, clients: str, states: str, ids: Ids, link: Link, blemishes: Blemishes
) -> None:  # fmt: skip
    label = ", 'cancelled'" if "unknown_labels" in blemishes else ""
    required = "" if "missing_created_at" in blemishes else " NOT NULL"
    extra = '"voiceAgentId" TEXT,' if "unknown_columns" in blemishes else ""
    key, reference = ("SERIAL", "INTEGER") if ids == "int" else ("TEXT", "TEXT")
    stamps = f'"createdAt" TIMESTAMP(3){required} DEFAULT CURRENT_TIMESTAMP, "updatedAt" TIMESTAMP(3) NOT NULL'
    flags = ", ".join(f'"{flag}" BOOLEAN NOT NULL DEFAULT false' for flag in FLAGS)
    links = ", ".join(
        f'"{column}" {reference}' for column in (("clientId", "customerId") if link == "both" else (link,))
    )
    made.run(
        connection,
        f"CREATE TYPE \"BillingStatus\" AS ENUM ('none', 'trial', 'active', 'canceled', 'past_due'{label})",
        f"""CREATE TABLE "{clients}" (
            "id" {key} NOT NULL, "name" TEXT NOT NULL, "email" TEXT, "phone" TEXT, "stripeCustomerId" TEXT,
            "stripeSubscriptionId" TEXT, {flags}, "billingStatus" "BillingStatus" NOT NULL DEFAULT 'none',
            "trialUsedAt" TIMESTAMP(3), "cancellationRequestedAt" TIMESTAMP(3), {extra} {stamps})""",
        f"""CREATE TABLE "{states}" (
            "id" {key} NOT NULL, {links}, "forwardingEnabled" BOOLEAN NOT NULL DEFAULT false,
            "testCallDetected" BOOLEAN NOT NULL DEFAULT false, "currentStep" TEXT NOT NULL DEFAULT 'start',
            {stamps})""",
    )


def _fill(connection: Postgres, clients: str, states: str, rows: int, ids: Ids, link: Link) -> None:
    client, state = ("n", "n") if ids == "int" else (cuid_sql("client", "n"), cuid_sql("state", "n"))
    began = "timestamp '2023-04-01 08:00' + n * interval '1 min'"
    flags = ", ".join(f"n % {EVERY[flag]} = 0" for flag in FLAGS)
    label = made.choice_sql("n", [f"'{label}'" for label in LABELS])
    # The later column was filled for those that were looked at since.
    links = {
        "clientId": [("clientId", client)],
        "customerId": [("customerId", client)],
        "both": [("customerId", client), ("clientId", f"CASE WHEN n % 2 = 0 THEN {client} END")],
    }[link]
    made.run(
        connection,
        f"""INSERT INTO "{clients}" ("id", "name", "email", "phone", "stripeCustomerId", "stripeSubscriptionId",
                {", ".join(f'"{flag}"' for flag in FLAGS)}, "billingStatus", "trialUsedAt", "createdAt", "updatedAt")
            SELECT {client}, 'Client ' || n, 'office' || n || '@client.example', '+44 20 7946 ' || 1000 + n % 9000,
                'cus_' || n, CASE WHEN n % 3 = 0 THEN 'sub_' || n END, {flags}, ({label})::"BillingStatus",
                CASE WHEN n % 5 <> 0 THEN {began} + interval '1 day' END, {began}, {began} + interval '2 days'
              FROM generate_series(1, {rows}) n""",
        f"""INSERT INTO "{states}" ("id", {", ".join(f'"{column}"' for column, _ in links)}, "forwardingEnabled",
                "testCallDetected", "currentStep", "createdAt", "updatedAt")
            SELECT {state}, {", ".join(value for _, value in links)}, n % 2 = 0, n % 4 = 0,
                {made.choice_sql("n", ["'start'", "'forwarding'", "'test_call'"])}, {began}, {began} + interval '2 days'
              FROM generate_series(1, {rows}) n""",
    )


def _constraints(connection: Postgres, clients: str, states: str, link: Link, blemishes: Blemishes) -> None:
    """Built when the rows are there, which is faster; the later ones of the migrations where the rows let them."""
    column = "customerId" if link == "customerId" else "clientId"
    made.run(
        connection,
        *[f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_pkey" PRIMARY KEY ("id")' for table in (clients, states)],
        *[
            f'CREATE INDEX "{clients}_{flag}_idx" ON "{clients}"("{flag}")'
            for flag in ("onboardingComplete", "outboundPaused", "aiDisabled", "billingStatus", "pendingCancellation")
        ],
        f'CREATE INDEX "{states}_{column}_idx" ON "{states}"("{column}")',
    )
    if "states_twice" not in blemishes:
        made.run(connection, f'CREATE UNIQUE INDEX "{states}_{column}_key" ON "{states}"("{column}")')
    if "orphans" not in blemishes:
        made.run(
            connection,
            f'ALTER TABLE "{states}" ADD CONSTRAINT "{states}_{column}_fkey" FOREIGN KEY ("{column}") '
            f'REFERENCES "{clients}"("id") ON DELETE CASCADE ON UPDATE CASCADE',
        )
