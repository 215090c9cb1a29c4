"""Whatever happens to purchases in whatever order, none is lost or doubled, and no credit appears or vanishes.

Every step is done by the real services on PostgreSQL and by `purchase_model` in plain dictionaries; then they are
compared. Each example runs in an outer transaction that is rolled back.

The conserved quantity: credits that came in (with a new waiting purchase, with a direct purchase that made a profile
pro, less what that wrote over, and with legacy rows) equal

    what profiles, legacy rows and unclaimed purchases hold
    + what each merge in force replaced (before + purchase - after, read from its journal)
    + what deleted purchases held (read from the audit).
"""

import os
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select

from admin_app.context import Actor
from admin_app.db import Database
from admin_app.errors import AlreadyClaimed, Conflict, PendingProfileNotFound, UndoBlocked
from admin_app.services import audit, claims, merge_fields, pending_profiles, purchases, undo
from admin_app.services.claims import JOURNALED
from admin_app.services.plans import snapshot
from models import AuditEntry, ExtraPurchase, Merge, PendingProfile, Profile, User
from tests.services.factories import NOON, SUPPORT, WHOP, add_profile, add_user, customer, facts
from tests.services.purchase_model import Model, Row

SOAK = os.environ.get("BACKDESK_SOAK") == "1"
OFTEN = settings(
    max_examples=1500 if SOAK else 14,
    stateful_step_count=60 if SOAK else 25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink] if SOAK else [Phase.generate],
    derandomize=not SOAK,
    database=None,
    suppress_health_check=list(HealthCheck),
)

EMAILS = [f"{name}@example.com" for name in ("ada", "bob", "cleo", "dora")]
MEMBERSHIPS = {f"mem_{n}": EMAILS[n % len(EMAILS)] for n in range(6)}
# bob's address is verified by two accounts in turn: whoever signed in last has it; nobody but staff reaches dora's
PEOPLE = {
    "user_a": ["ada@example.com"],
    "user_b": ["bob@example.com", "cleo@example.com"],
    "user_c": ["bob@example.com"],
}
NAMED = {
    "mem": "whop_membership_id",
    "credits": "usage_credits",
    "used": "used_credits",
    "event_at": "provider_event_at",
}

people = st.sampled_from(sorted(PEOPLE))
choices = st.fixed_dictionaries(
    {},
    optional={
        "email": st.just("purchase"),
        "mem": st.just("profile"),
        "credits": st.just("profile"),
        "membership": st.just("profile"),
    },
)


class Purchases(RuleBasedStateMachine):
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.connection = self.engine.connect()
        self.outer = self.connection.begin()
        self.db = Database(self.connection, clock=self.clock, join_transaction_mode="create_savepoint")  # type: ignore[arg-type]
        self.model = Model()
        self.buyers = dict(MEMBERSHIPS)
        self.told: list[tuple[str, str, int]] = []
        self.versions: dict[str, Any] = {}
        self.entries = 0

    def teardown(self) -> None:
        self.outer.rollback()
        self.connection.close()

    def clock(self) -> datetime:
        return NOON + timedelta(minutes=self.model.now)

    def tick(self) -> int:
        self.model.now += 1
        return self.model.now

    # -- the steps -----------------------------------------------------------------------------------------------

    @initialize()
    def some_people_are_known(self) -> None:
        add_user(self.db, "user_a", email="ada@example.com")
        add_profile(
            self.db,
            "user_b",
            email="bob@example.com",
            usage_credits=30,
            used_credits=10,
            created_at=NOON,
            updated_at=NOON,
        )
        blank = {"mem": None, "event_at": None, "membership": "free", "status": "active", "touched": 0}
        self.model.profiles["user_b"] = {
            "user_id": "user_b",
            "email": "bob@example.com",
            "credits": 30,
            "used": 10,
        } | blank
        self.model.given = 30
        self.replayed = {"user_b": self.journaled(self.row(Profile, "user_b"))}
        self.note_versions()
        for mem in ("mem_2", "mem_3"):
            self.tell("bought", mem, self.tick())

    @rule(data=st.data())
    def whop_tells_of_a_purchase_or_renewal(self, data: st.DataObject) -> None:
        self.tell("bought", data.draw(st.sampled_from(sorted(self.buyers))), self.tick())

    @rule(data=st.data())
    def whop_tells_of_an_end(self, data: st.DataObject) -> None:
        self.tell("ended", data.draw(st.sampled_from(sorted(self.buyers))), self.tick())

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def whop_repeats_itself(self, data: st.DataObject) -> None:
        kind, mem, at = data.draw(st.sampled_from(self.told))
        self.tick()
        self.tell(kind, mem, at)

    def tell(self, kind: str, mem: str, at: int) -> None:
        self.told.append((kind, mem, at))
        told = facts(self.buyers[mem], membership_id=mem, occurred_at=NOON + timedelta(minutes=at))
        with self.db.unit_of_work(WHOP) as ctx:
            (purchases.record if kind == "bought" else purchases.end)(ctx, told)
        if kind == "bought":
            self.model.bought(mem, self.buyers[mem], at)
        else:
            self.model.ended(mem, at)

    @rule(user=people)
    def somebody_signs_in(self, user: str) -> None:
        self.tick()
        with self.db.unit_of_work(customer(user, *PEOPLE[user])) as ctx:
            claims.sign_in(ctx)
        self.model.signs_in(user, PEOPLE[user], PEOPLE[user])

    @rule(user=people)
    def somebody_claims(self, user: str) -> None:
        """A claim is a sign-in that looks at one address, and refuses where the other passes by."""
        self.tick()
        email = PEOPLE[user][-1]
        pending = self.model.pending_at(email)
        refusal = None
        if pending is None:
            refusal = PendingProfileNotFound
        elif pending["claimed_by"] not in (None, user):
            refusal = AlreadyClaimed
        self.act(customer(user, *PEOPLE[user]), lambda ctx: claims.claim(ctx, email=email), refusal)
        if refusal is None:
            self.model.signs_in(user, PEOPLE[user], [email], one=True)

    @rule(number=st.integers(1, 3), email=st.sampled_from(EMAILS))
    def a_legacy_row_turns_up(self, number: int, email: str) -> None:
        number_of_it = self.tick()
        name, mem = f"temp_{number_of_it}", f"mem_legacy_{number_of_it}"
        if any(row["email"] == email for row in self.model.legacy.values()):
            return
        add_profile(self.db, name, email=email, membership="pro", usage_credits=number * 100, whop_membership_id=mem)
        row = {"email": email, "mem": mem, "membership": "pro", "status": "active", "used": 0, "event_at": None}
        self.model.legacy[name] = row | {"credits": number * 100}
        self.model.given += number * 100
        self.buyers[mem] = email

    @precondition(lambda self: self.open())
    @rule(data=st.data(), user=people, kept=choices)
    def staff_merge(self, data: st.DataObject, user: str, kept: dict[str, str]) -> None:
        pending = data.draw(st.sampled_from(self.open()))
        known = {"user_a", "user_b"} | self.model.profiles.keys() | self.signed_in()
        if user not in known:
            return
        self.tick()
        ids = {"pending_profile_id": self.ids()[pending["id"]], "user_id": user}
        with self.db.unit_of_work(SUPPORT) as ctx:
            plan = claims.plan_for_user(ctx, **ids)
        offered = {line.field for line in plan.lines if line.choices}
        kept = {name: side for name, side in kept.items() if NAMED.get(name, name) in offered}
        picked = {NAMED.get(name, name): side for name, side in kept.items()}
        with self.db.unit_of_work(SUPPORT) as ctx:
            claims.claim_for_user(ctx, **ids, reason="asked", shown=plan.fingerprint, choices=picked)
        own = PEOPLE[user][0] if user == "user_a" or user in self.signed_in() else None
        self.model.staff_merges(user, own, pending, kept)

    @precondition(lambda self: self.model.merges)
    @rule(data=st.data())
    def staff_undo(self, data: st.DataObject) -> None:
        """Also what cannot be undone any more is tried; a merge of the same two again is the redo."""
        number = data.draw(st.integers(max(0, len(self.model.merges) - 4), len(self.model.merges) - 1))
        self.tick()
        merge_id = self.column(Merge.id)[number]
        with self.db.unit_of_work(SUPPORT) as ctx:
            plan = undo.plan(ctx, merge_id=merge_id)
        allowed = self.model.may_undo(number)
        refusal = None if allowed else UndoBlocked if self.model.merges[number]["in_force"] else Conflict
        assert (plan.refusal is None) == allowed, plan.refusal
        self.act(
            SUPPORT, lambda ctx: undo.undo(ctx, merge_id=merge_id, reason="wrong", shown=plan.fingerprint), refusal
        )
        if allowed:
            self.model.undo(number)

    @precondition(lambda self: self.open())
    @rule(data=st.data())
    def staff_delete(self, data: st.DataObject) -> None:
        pending = data.draw(st.sampled_from(self.open()))
        self.tick()
        pending_id = self.ids()[pending["id"]]
        with self.db.unit_of_work(SUPPORT) as ctx:
            plan = pending_profiles.plan_delete(ctx, pending_profile_id=pending_id)
            pending_profiles.delete(ctx, pending_profile_id=pending_id, reason="refunded", shown=plan.fingerprint)
        self.model.delete(pending["id"])

    @precondition(lambda self: self.open())
    @rule(data=st.data(), email=st.sampled_from(EMAILS))
    def staff_correct_the_address(self, data: st.DataObject, email: str) -> None:
        pending = data.draw(st.sampled_from(self.open()))
        self.tick()
        ids = {"pending_profile_id": self.ids()[pending["id"]], "email": email}
        with self.db.unit_of_work(SUPPORT) as ctx:
            plan = pending_profiles.plan_email(ctx, **ids)
        taken = any(row["email"] == email for row in self.model.pendings.values())
        self.act(
            SUPPORT,
            lambda ctx: pending_profiles.correct_email(ctx, **ids, reason="typo", shown=plan.fingerprint),
            Conflict if taken else None,
        )
        if not taken:
            pending["email"] = email

    def act(self, actor: Actor, what: Any, refusal: type[Exception] | None) -> None:
        if refusal is None:
            with self.db.unit_of_work(actor) as ctx:
                what(ctx)
            return
        with pytest.raises(refusal), self.db.unit_of_work(actor) as ctx:
            what(ctx)

    # -- looking -------------------------------------------------------------------------------------------------

    def open(self) -> list[Row]:
        return [row for row in self.model.pendings.values() if not row["claimed_by"]]

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

    def ids(self) -> dict[int, int]:
        """The model's numbers of purchases to the database's; both are given in the order of making."""
        return dict(zip(sorted(self.model.pendings), self.column(PendingProfile.id), strict=True))

    @staticmethod
    def shown(row: Any) -> Row:
        at = row.provider_event_at
        return {
            "email": row.email,
            "mem": row.whop_membership_id,
            "membership": row.membership.value,
            "status": row.status.value,
            "credits": row.usage_credits,
            "used": row.used_credits,
            "event_at": at and round((at - NOON).total_seconds() / 60),
        }

    @staticmethod
    def journaled(row: Any) -> Row:
        return snapshot(row, JOURNALED)

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        profiles = {row.user_id: self.shown(row) for row in self.rows(Profile)}
        wanted = {
            user: {n: row[n] for n in next(iter(profiles.values()), {})} for user, row in self.model.profiles.items()
        }
        assert {user: row for user, row in profiles.items() if not user.startswith("temp_")} == wanted
        assert {user for user in profiles if user.startswith("temp_")} == self.model.legacy.keys()
        pendings = {
            row.id: self.shown(row) | {"claimed_by": row.claimed_by_user_id} for row in self.rows(PendingProfile)
        }
        ids = self.ids()
        assert pendings == {
            ids[n]: {k: v for k, v in row.items() if k in pendings[ids[n]]} for n, row in self.model.pendings.items()
        }
        extras = {
            (e.user_id, e.replaced_membership_id or e.pending_profile_id)
            for e in self.rows(ExtraPurchase)
            if not e.resolved_at
        }
        assert extras == {(user, ids.get(which, which)) for user, which in self.model.extras}  # type: ignore[arg-type]

    @invariant()
    def each_purchase_is_in_one_place(self) -> None:
        pendings, merges = self.rows(PendingProfile), [merge for merge in self.rows(Merge) if not merge.undone_at]
        merges = [merge for merge in merges if merge.pending_profile_id is not None]  # its row took another purchase in
        assert {(m.pending_profile_id, m.user_id) for m in merges} == {
            (p.id, p.claimed_by_user_id) for p in pendings if p.claimed
        }
        assert len(merges) == sum(p.claimed for p in pendings)
        keepers = {p.whop_membership_id: p.claimed_by_user_id for p in pendings}
        held = [
            (p.whop_membership_id, p.user_id) for p in self.rows(Profile) if p.whop_membership_id and not p.is_legacy
        ]
        assert len({mem for mem, _ in held}) == len(held)
        # A legacy row whose address waits already is left alone for support, whatever becomes of its membership;
        # a profile lives by a membership of its own, or by one of a purchase that it claimed
        assert [(mem, user) for mem, user in held if mem in keepers and keepers[mem] != user] == []
        remembered = {record for entry in self.rows(AuditEntry) for record in entry.records}
        for mem in {mem for kind, mem, _ in self.told if kind == "bought"} - keepers.keys() - {m for m, _ in held}:
            assert f"whop_membership:{mem}" in remembered

    @invariant()
    def credits_are_conserved(self) -> None:
        pendings = {row.id: row for row in self.rows(PendingProfile)}
        held = sum(row.usage_credits for row in self.rows(Profile))
        held += sum(row.usage_credits for row in pendings.values() if not row.claimed)
        journaled = sum(
            modelled["replaced"]
            if merge.pending_profile_id is None
            else (merge.before or {"usage_credits": 0})["usage_credits"]
            + pendings[merge.pending_profile_id].usage_credits
            - merge.after["usage_credits"]
            for merge, modelled in zip(sorted(self.rows(Merge), key=lambda row: row.id), self.model.merges, strict=True)
            if merge.undone_at is None
        )
        deleted = sum(
            change["before"]
            for entry in self.rows(AuditEntry)
            if entry.event == "purchase.deleted"
            for change in entry.changes
            if change["field"] == "usage_credits"
        )
        assert self.model.given - self.model.written_over == held + journaled + deleted

    @invariant()
    def nothing_changes_without_the_audit(self) -> None:
        """The entries since the last step, replayed, give every profile as it is; each changed row is named in one."""
        with self.db.read_only() as session:
            assert audit.first_broken_link(session) is None
            entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id).offset(self.entries)).all()
        self.entries += len(entries)
        for entry in entries:
            for change in entry.changes:
                kind, _, user = change["record"].partition(":")
                if kind == "profile":
                    made = {name: audit.plain(v) for name, v in merge_fields.new_profile_defaults(NOON).items()}
                    blank = {name: made.get(name) for name in JOURNALED}
                    self.replayed.setdefault(user, blank)[change["field"]] = change["after"]
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


@pytest.fixture
def machine(_shared_engine: Engine) -> type[Purchases]:
    return type("PurchasesHere", (Purchases,), {"engine": _shared_engine})


def test_purchases_and_credits_are_conserved_whatever_happens(machine: type[Purchases]) -> None:
    run_state_machine_as_test(machine, settings=OFTEN)
