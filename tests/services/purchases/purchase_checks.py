"""What must hold after each step of the machine, and how it looks at the database."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis.stateful import invariant
from sqlalchemy import select

from admin_app.services.core import audit
from admin_app.services.core.plans import snapshot
from admin_app.services.invariants import about_addresses, about_people
from admin_app.services.invariants.rule import PATIENCE, Moments
from admin_app.services.memberships import CREDITS
from admin_app.services.people import users
from admin_app.services.purchases.claims import JOURNALED
from models import (
    Adjustment,
    AdjustmentKind,
    AuditEntry,
    CreditPeriod,
    ExtraPurchase,
    PendingProfile,
    Profile,
    ProviderMembership,
    User,
)
from tests.machines import OnDatabase
from tests.services.factories import NOON
from tests.services.purchases.purchase_model import Model, Row

EMAILS = [f"{name}@example.com" for name in ("ada", "bob", "cleo", "dora")]
MEMBERSHIPS = {f"mem_{n}": EMAILS[n % len(EMAILS)] for n in range(6)}


class Watched(OnDatabase):
    """What must hold in the database of one example whatever was done."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0
        self.versions: dict[str, Any] = {}
        self.entries = 0
        self.replayed: dict[str, Any] = {}
        self.given = 0  # credits that no period gave

    def clock(self) -> datetime:
        return NOON + timedelta(minutes=self.passed)

    @staticmethod
    def at(minutes: int) -> datetime:
        return NOON + timedelta(minutes=minutes)

    @staticmethod
    def minutes(at: datetime | None) -> int | None:
        return None if at is None else int((at - NOON) / timedelta(minutes=1))

    def tick(self) -> int:
        self.passed += 1
        return self.passed

    # -- looking -------------------------------------------------------------------------------------------------

    def signed_in(self) -> set[str]:
        return set(self.column(User.open_id))

    def column(self, wanted: Any) -> list[Any]:
        with self.db.read_only() as session:
            return list(session.scalars(select(wanted).order_by(wanted)))

    def rows(self, model: type[Any]) -> list[Any]:
        with self.db.read_only() as session:
            return list(session.scalars(select(model)))

    def row(self, model: type[Any], key: Any) -> Any:
        with self.db.read_only() as session:
            return session.get(model, key)

    @staticmethod
    def journaled(row: Any) -> Row:
        return snapshot(row, JOURNALED)

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def every_rule_about_people_holds(self) -> None:
        with self.db.read_only() as session:
            moments = Moments.at(self.clock(), PATIENCE)
            rules = (*about_people.INVARIANTS, *about_addresses.INVARIANTS)
            found = {one.name: list(one.find(session, moments)) for one in rules}
        broken = {name: records for name, records in found.items() if records}
        assert broken == {}, broken

    @invariant()
    def nobody_has_credits_that_no_period_gave(self) -> None:
        granted = sum(period.credits for period in self.rows(CreditPeriod)) + self.given
        for one in self.rows(Adjustment):
            if one.kind is AdjustmentKind.CREDITS_ADDED:
                granted += one.credits
            elif one.kind is AdjustmentKind.RENEWED_EARLY and one.undone_at:
                granted += CREDITS  # as far as they were used before it was undone
        had = sum(row.usage_credits for row in self.rows(Profile) if not row.is_legacy)
        had += sum(row.usage_credits for row in self.rows(PendingProfile) if not row.claimed)
        assert had <= granted

    @invariant()
    def nothing_changes_without_the_audit(self) -> None:
        """The entries since the last step, replayed, give every profile as it is; each changed row is named in one."""
        with self.db.read_only() as session:
            assert audit.first_broken_link(session) is None
            entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id).offset(self.entries)).all()
        self.entries += len(entries)
        made = {name: audit.plain(value) for name, value in users.new_profile_defaults(NOON).items()}
        for entry in entries:
            for user in (record.partition(":")[2] for record in entry.records if record.startswith("profile:")):
                self.replayed.setdefault(user, {name: made.get(name) for name in JOURNALED})
            for change in entry.changes:
                kind, _, user = change["record"].partition(":")
                if kind == "profile" and change["field"] in JOURNALED:
                    self.replayed[user][change["field"]] = change["after"]
        profiles = {p.user_id: self.journaled(p) for p in self.rows(Profile) if not p.is_legacy}
        self.replayed = {user: row for user, row in self.replayed.items() if user in profiles}
        for row in (*profiles.values(), *self.replayed.values()):
            row.pop("provider_event_at", None)  # the same news again move it, and are no entry
        assert {user: self.replayed.get(user) for user in profiles} == profiles
        named = {record for entry in entries for record in entry.records}
        before = self.versions
        self.note_versions()
        changed = {key for key, version in self.versions.items() if before.get(key) != version}
        gone = before.keys() - self.versions.keys()
        assert {key for key in changed | gone if not key.startswith("profile:temp_")} <= named

    def note_versions(self) -> None:
        self.versions = {f"profile:{p.user_id}": p.version for p in self.rows(Profile)}
        self.versions |= {f"pending_profile:{p.id}": p.version for p in self.rows(PendingProfile)}


class Checked(Watched):
    """The same beside a model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.buyers = dict(MEMBERSHIPS)
        self.told: list[tuple[str, str, int]] = []
        self.legacy_names: set[str] = set()
        self.given = 30  # what the earlier system gave

    def tick(self) -> int:
        self.model.now = super().tick()
        return self.model.now

    def pass_days(self, days: int) -> None:
        self.passed += days * 24 * 60
        self.model.now = self.passed

    def open(self) -> list[Row]:
        return [row for row in self.model.pendings.values() if not row["claimed_by"]]

    def ids(self) -> dict[int, int]:
        """The model's numbers of purchases to the database's; both are given in the order of making."""
        return dict(zip(sorted(self.model.pendings), self.column(PendingProfile.id), strict=True))

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        ids, model = self.ids(), self.model
        profiles = {row.user_id: row for row in self.rows(Profile)}
        assert {user for user in profiles if user.startswith("temp_")} == model.legacy.keys()
        accounts = {user: row for user, row in profiles.items() if not user.startswith("temp_")}
        assert {user: (row.email, *self.told_of(row)) for user, row in accounts.items()} == {
            user: (row["email"], *model.seen(user)) for user, row in model.profiles.items()
        }
        pendings = {row.id: row for row in self.rows(PendingProfile)}
        assert {n: (row.email, row.claimed_by_user_id) for n, row in pendings.items()} == {
            ids[n]: (row["email"], row["claimed_by"]) for n, row in model.pendings.items()
        }
        assert {n: self.told_of(row) for n, row in pendings.items() if not row.claimed} == {
            ids[n]: model.seen(n) for n, row in model.pendings.items() if not row["claimed_by"]
        }
        every = self.rows(ProviderMembership)
        rows = {row.external_id: row for row in every if row.provider}
        given = {row.id: row for row in every if not row.provider and row.ignored_at is None}
        assert {number: (row.profile_user_id, row.is_live) for number, row in given.items()} == {
            number: (row["holder"], row["live"]) for number, row in model.given.items()
        }
        assert {mem: (row.profile_user_id or row.pending_profile_id, row.is_live) for mem, row in rows.items()} == {
            mem: (ids.get(row["holder"], row["holder"]), row["live"] and row["deleted"] is None)
            for mem, row in model.mems.items()
        }
        open_extras = {
            (e.user_id, e.pending_profile_id)
            for e in self.rows(ExtraPurchase)
            if not e.resolved_at and e.pending_profile_id
        }
        assert open_extras == {(user, ids[which]) for user, which in model.extras}

    @staticmethod
    def told_of(row: Profile | PendingProfile) -> tuple[bool, str | None]:
        assert (row.membership == "pro") == (row.status == "active") or row.whop_membership_id is None
        return row.membership == "pro", row.whop_membership_id
