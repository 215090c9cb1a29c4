"""Whatever happens to purchases in whatever order, none is lost or doubled, and no credit appears or vanishes.

Every step is done by the real services on PostgreSQL and by `purchase_model` in plain dictionaries; then they are
compared. Each example runs in an outer transaction that is rolled back.

After each step every invariant about people holds: columns are what the memberships say, each live membership has one
holder, credits are granted once per period, and the list of extra purchases is complete.
"""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine

from admin_app.context import Actor, Job
from admin_app.errors import AlreadyClaimed, Conflict, NotFound, PendingProfileNotFound, UndoBlocked
from admin_app.services import purchases
from admin_app.services.memberships import adjustments, moving
from admin_app.services.purchases import claims, credit_renewals, pending_profiles, undo
from models import ExtraPurchase, Merge, Profile, ProviderMembership
from tests.machines import often
from tests.services.factories import NOON, OPERATOR, SUPPORT, WHOP, add_profile, add_user, customer, facts
from tests.services.purchases.purchase_checks import EMAILS
from tests.services.purchases.purchase_hands import PEOPLE, ByHand, people

choices = st.fixed_dictionaries(
    {}, optional={"email": st.just("purchase"), "counts": st.sampled_from(["purchase", "profile"])}
)


class Purchases(ByHand):
    """The steps: what providers tell, what people do, and time."""

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
        self.model.profiles["user_b"] = {"email": "bob@example.com"}
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

    @rule(data=st.data())
    def whop_tells_of_a_cancellation(self, data: st.DataObject) -> None:
        self.tell("canceled", data.draw(st.sampled_from(sorted(self.buyers))), self.tick())

    @rule(data=st.data(), email=st.sampled_from(EMAILS))
    def a_buyer_corrects_the_address(self, data: st.DataObject, email: str) -> None:
        mem = data.draw(st.sampled_from(sorted(self.buyers)))
        self.buyers[mem] = email
        self.tell("bought", mem, self.tick())

    @rule(days=st.integers(5, 40))
    def days_go_by(self, days: int) -> None:
        self.pass_days(days)
        self.what_was_given_ends()

    @rule()
    def the_credits_job_runs(self) -> None:
        self.tick()
        with self.db.read_only() as session:
            due = credit_renewals.due(session, self.clock(), limit=100)
        for user_id in due:
            with self.db.unit_of_work(Job("renew_credits")) as ctx:
                credit_renewals.renew(ctx, user_id=user_id)
        with self.db.read_only() as session:
            assert credit_renewals.due(session, self.clock(), limit=100) == []

    @rule(user=people, part=st.integers(1, 3))
    def somebody_uses_credits(self, user: str, part: int) -> None:
        with self.db.unit_of_work(OPERATOR) as ctx:
            profile = ctx.session.get(Profile, user)
            if profile is not None and profile.usage_credits > profile.used_credits:
                profile.used_credits += (profile.usage_credits - profile.used_credits) * part // 3
                self.replayed[user]["used_credits"] = profile.used_credits

    @precondition(lambda self: self.to_settle())
    @rule(data=st.data())
    def support_decides_on_an_extra_purchase(self, data: st.DataObject) -> None:
        extra_id = data.draw(st.sampled_from(self.to_settle()))
        self.tick()
        with self.db.unit_of_work(SUPPORT) as ctx:
            pending_profiles.settle_extra(ctx, extra_id=extra_id, resolution="wanted", reason="asked")

    def to_settle(self) -> list[int]:
        about = self.rows(ExtraPurchase)
        return sorted(one.id for one in about if one.replaced_membership_id and not one.resolved_at)

    def tell(self, kind: str, mem: str, at: int) -> None:
        self.told.append((kind, mem, at))
        told = facts(self.buyers[mem], membership_id=mem, occurred_at=NOON + timedelta(minutes=at))
        verbs = {"bought": purchases.record, "ended": purchases.end, "canceled": purchases.set_cancellation}
        self.look()
        with self.db.unit_of_work(WHOP) as ctx:
            verbs[kind](ctx, told)
        if kind == "bought":
            self.model.bought(mem, self.buyers[mem], at)
        elif kind == "ended":
            self.model.ended(mem, at)
        else:
            self.model.canceled(mem, at)

    def look(self) -> None:
        self.model.touched = {row.user_id: (row.updated_at) for row in self.rows(Profile)}

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
        then = deepcopy(self.model)
        then.verified |= dict.fromkeys(PEOPLE[user], user)
        pending = then.waiting(user, email)
        refusal = None
        if pending is None:
            refusal = PendingProfileNotFound
        elif pending["claimed_by"] not in (None, user):
            refusal = AlreadyClaimed
        self.act(customer(user, *PEOPLE[user]), lambda ctx: claims.claim(ctx, email=email), refusal)
        if refusal is None:
            self.model.signs_in(user, PEOPLE[user], [email])

    @rule(number=st.integers(1, 3), email=st.sampled_from(EMAILS))
    def a_legacy_row_turns_up(self, number: int, email: str) -> None:
        name, mem = f"temp_{number}", f"mem_legacy_{number}_{self.tick()}"
        if name in self.legacy_names or any(row["email"] == email for row in self.model.legacy.values()):
            return
        add_profile(self.db, name, email=email, membership="pro", usage_credits=number * 100, whop_membership_id=mem)
        self.model.legacy[name] = {"email": email, "mem": mem}
        self.legacy_names.add(name)
        self.given += number * 100
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
        kept = {name: side for name, side in kept.items() if name in offered}
        with self.db.unit_of_work(SUPPORT) as ctx:
            claims.claim_for_user(ctx, **ids, reason="asked", shown=plan.fingerprint, choices=kept)
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
        merge, profile = self.row(Merge, merge_id), self.row(Profile, self.model.merges[number]["user"])
        used = profile.used_credits if profile else 0
        used_since = used - merge.after["used_credits"] if used >= merge.after["used_credits"] else used
        with self.db.read_only() as session:
            by_hand = adjustments.by_hand_since(session, merge.user_id, merge.made_at)
        refusal = None if allowed else UndoBlocked if self.model.merges[number]["in_force"] else Conflict
        assert (plan.refusal is None) == allowed, plan.refusal
        self.act(
            SUPPORT, lambda ctx: undo.undo(ctx, merge_id=merge_id, reason="wrong", shown=plan.fingerprint), refusal
        )
        if allowed:
            self.model.undo(number, used_since, by_hand)

    @precondition(lambda self: self.model.mems)
    @rule(data=st.data(), user=people)
    def staff_move_a_membership(self, data: st.DataObject, user: str) -> None:
        known = {"user_a", "user_b"} | self.model.profiles.keys() | self.signed_in()
        mem = data.draw(st.sampled_from(sorted(self.model.mems)))
        if user in known:
            ids = {"membership_id": self.number_of(mem), "user_id": user}
            self.move(mem, user, moving.plan_move, moving.move, **ids)

    @precondition(lambda self: any(row["moved_from"] for row in self.model.mems.values()))
    @rule(data=st.data())
    def staff_move_one_back(self, data: st.DataObject) -> None:
        mem = data.draw(st.sampled_from(sorted(m for m, row in self.model.mems.items() if row["moved_from"])))
        target = self.model.mems[mem]["moved_from"]
        self.move(mem, target, moving.plan_back, moving.move_back, membership_id=self.number_of(mem))

    def move(self, mem: str, target: str | int, plan: Any, act: Any, **ids: Any) -> None:
        self.tick()
        with self.db.unit_of_work(SUPPORT) as ctx:
            try:
                planned = plan(ctx, **ids)
            except NotFound:  # the account that it came from is gone for good
                assert target not in self.model.profiles
                return
        allowed = self.model.may_move(mem, target)
        assert (planned.refusal is None) == allowed, planned.refusal
        shown = planned.fingerprint
        self.act(SUPPORT, lambda ctx: act(ctx, **ids, reason="asked", shown=shown), None if allowed else Conflict)
        if allowed:
            own = PEOPLE[str(target)][0] if target == "user_a" or target in self.signed_in() else None
            self.model.move(mem, target, own, is_back=act == moving.move_back)

    def number_of(self, mem: str) -> int:
        return next(row.id for row in self.rows(ProviderMembership) if row.external_id == mem)

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


@pytest.fixture
def machine(_shared_engine: Engine) -> type[Purchases]:
    return type("PurchasesHere", (Purchases,), {"engine": _shared_engine})


def test_purchases_and_credits_are_conserved_whatever_happens(machine: type[Purchases]) -> None:
    run_state_machine_as_test(machine, settings=often((14, 1500), (25, 60)))
