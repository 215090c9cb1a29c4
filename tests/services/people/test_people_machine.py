"""Whatever people, both providers, Clerk and staff do to memberships in whatever order, what must be true stays true.

Beside the machine of purchases, which holds every step against a model, this one has more verbs and no model: accounts
are deleted and made again, addresses change hands, deliveries come late and twice, Stripe sells as well as Whop. After
each step every rule about people and addresses holds, and at the end everybody who pays has what they paid for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine

from admin_app.context import Ctx, Customer, Job
from admin_app.errors import DomainError
from admin_app.integrations.ports import ClerkEmail, ClerkUser
from admin_app.services import purchases
from admin_app.services.core.plans import Plan
from admin_app.services.memberships import adjustment_undo, complimentary, credit_adjusting, moving
from admin_app.services.purchases import (
    account_deletion,
    claims,
    clerk_events,
    credit_renewals,
    pending_profiles,
    stripe_subscriptions,
    undo,
)
from models import Adjustment, ExtraPurchase, Membership, Merge, PendingProfile, Profile, ProviderMembership
from tests.machines import often
from tests.services.client_rows import subscription
from tests.services.factories import CLERK, NOON, SUPPORT, WHOP, add_profile, facts
from tests.services.money import STRIPE
from tests.services.purchases.purchase_checks import Watched

ADDRESSES = [f"{name}@example.com" for name in ("ada", "bob", "cleo", "dora")]
MONTH = timedelta(days=30)
addresses = st.sampled_from(ADDRESSES)


@dataclass
class Sold:
    """A membership as its provider has it."""

    email: str
    is_live: bool = False
    start: int = 0
    end: int = 0


@dataclass
class World:
    """What the providers know: Clerk's accounts with their verified addresses, Whop's and Stripe's memberships."""

    accounts: dict[str, list[str]] = field(default_factory=dict)
    whop: dict[str, Sold] = field(default_factory=dict)
    stripe: dict[str, Sold] = field(default_factory=dict)
    made: int = 0


class People(Watched):
    @initialize()
    def a_world(self) -> None:
        self.world = World(accounts={"user_1": ["ada@example.com"], "user_2": ["bob@example.com", "cleo@example.com"]})
        self.world.made = 2
        self.undelivered: list[Callable[[], None]] = []
        self.world.whop = {f"mem_{n}": Sold(ADDRESSES[n % 4]) for n in range(4)}
        add_profile(self.db, "user_1", email="ada@example.com", stripe_customer_id="cus_1")
        self.replayed["user_1"] = self.journaled(self.row(Profile, "user_1"))
        self.note_versions()

    # -- Clerk ---------------------------------------------------------------------------------------------------

    @rule(data=st.data(), emails=st.lists(addresses, min_size=1, max_size=2, unique=True))
    def somebody_changes_their_addresses(self, data: st.DataObject, emails: list[str]) -> None:
        """An address is verified for one account at a time; the delivery comes whenever it comes."""
        user = data.draw(st.sampled_from(sorted(self.world.accounts)))
        for other, theirs in self.world.accounts.items():
            self.world.accounts[other] = [one for one in theirs if one not in emails]
        self.world.accounts[user] = emails
        self.undelivered.append(lambda: self.clerk_tells(user))

    @rule(email=addresses)
    def an_account_is_made(self, email: str) -> None:
        self.world.made += 1
        user = f"user_{self.world.made}"
        taken = any(email in theirs for theirs in self.world.accounts.values())
        if len(self.world.accounts) < 5:
            self.world.accounts[user] = [] if taken else [email]
            self.undelivered.append(lambda: self.clerk_tells(user))

    @precondition(lambda self: len(self.world.accounts) > 1)
    @rule(data=st.data())
    def an_account_is_deleted(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(sorted(self.world.accounts)))
        del self.world.accounts[user]
        self.undelivered.append(lambda: self.clerk_tells(user))

    def clerk_tells(self, user: str) -> None:
        """Whatever was told, Clerk is asked what is true now."""
        self.tick()
        with self.db.unit_of_work(CLERK) as ctx:
            if user in self.world.accounts:
                clerk_events.apply_person(ctx, self.person(user), since=NOON)
            else:
                account_deletion.let_go(ctx, user_id=user)

    def person(self, user: str) -> ClerkUser:
        emails = [ClerkEmail(one, True, n == 0) for n, one in enumerate(self.world.accounts[user])]
        return ClerkUser(user, None, tuple(emails), NOON, None, self.clock())

    @precondition(lambda self: self.undelivered)
    @rule(data=st.data(), again=st.booleans())
    def a_delivery_arrives(self, data: st.DataObject, again: bool) -> None:
        which = data.draw(st.integers(0, len(self.undelivered) - 1))
        self.undelivered[which]()
        if not again:
            del self.undelivered[which]

    @rule(data=st.data())
    def somebody_signs_in(self, data: st.DataObject) -> None:
        self.sign_in(data.draw(st.sampled_from(sorted(self.world.accounts))))

    def sign_in(self, user: str) -> None:
        self.tick()
        emails = self.world.accounts[user]
        actor = Customer(user, frozenset(emails), emails[0] if emails else None, None, self.clock())
        with self.db.unit_of_work(actor) as ctx:
            claims.sign_in(ctx)

    # -- Whop and Stripe -----------------------------------------------------------------------------------------

    @rule(data=st.data())
    def whop_is_paid(self, data: st.DataObject) -> None:
        mem = data.draw(st.sampled_from(sorted(self.world.whop)))
        sold, at = self.world.whop[mem], self.tick()
        if not sold.is_live or sold.end <= at:
            sold.start, sold.end = at, at + 30 * 24 * 60
        sold.is_live = True
        self.undelivered.append(self.whop_tells(mem, purchases.record, at))

    @rule(data=st.data())
    def a_membership_of_whop_ends(self, data: st.DataObject) -> None:
        mem = data.draw(st.sampled_from(sorted(self.world.whop)))
        self.world.whop[mem].is_live = False
        self.undelivered.append(self.whop_tells(mem, purchases.end, self.tick()))

    @rule(data=st.data(), email=addresses)
    def a_buyer_corrects_the_address(self, data: st.DataObject, email: str) -> None:
        mem = data.draw(st.sampled_from(sorted(self.world.whop)))
        self.world.whop[mem].email = email
        if self.world.whop[mem].is_live:
            self.undelivered.append(self.whop_tells(mem, purchases.record, self.tick()))

    def whop_tells(self, mem: str, verb: Any, at: int) -> Callable[[], None]:
        sold = self.world.whop[mem]
        told = facts(
            sold.email,
            membership_id=mem,
            occurred_at=self.at(at),
            period_start=self.at(sold.start),
            period_end=self.at(sold.end),
        )

        def arrive() -> None:
            self.tick()
            with self.db.unit_of_work(WHOP) as ctx:
                verb(ctx, told)

        return arrive

    @rule(number=st.integers(1, 2), is_live=st.booleans())
    def stripe_sells_or_ends(self, number: int, is_live: bool) -> None:
        """Of what was told, Stripe is asked what is true now."""
        name, at = f"sub_{number}", self.tick()
        if not is_live and name not in self.world.stripe:
            return
        sold = self.world.stripe.setdefault(name, Sold(""))
        if is_live and (not sold.is_live or sold.end <= at):
            sold.start, sold.end = at, at + 30 * 24 * 60
        sold.is_live = is_live
        self.undelivered.append(lambda: self.stripe_tells(name))

    def stripe_tells(self, name: str) -> None:
        self.tick()
        sold = self.world.stripe[name]
        found = replace(
            subscription("active" if sold.is_live else "canceled"),
            id=name,
            customer_id="cus_1",
            current_period_start=self.at(sold.start),
            current_period_end=self.at(sold.end),
        )
        with self.db.unit_of_work(STRIPE) as ctx:
            stripe_subscriptions.apply(ctx, found, asked_at=self.clock())

    # -- time and use --------------------------------------------------------------------------------------------

    @rule(days=st.integers(5, 40))
    def days_go_by(self, days: int) -> None:
        """With the job of each minute, which ends what was given."""
        self.passed += days * 24 * 60
        with self.db.read_only() as session:
            due = complimentary.due(session, self.clock(), limit=100)
        for number in due:
            with self.db.unit_of_work(Job("end_memberships")) as ctx:
                assert complimentary.end_due(ctx, membership_id=number)

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

    @rule(part=st.integers(1, 3))
    def everybody_uses_credits(self, part: int) -> None:
        with self.db.unit_of_work(SUPPORT) as ctx:
            for profile in ctx.session.query(Profile):
                profile.used_credits += max(0, profile.usage_credits - profile.used_credits) * part // 3
                self.replayed[profile.user_id]["used_credits"] = profile.used_credits

    # -- staff ---------------------------------------------------------------------------------------------------

    def act(self, plan: Callable[[Ctx], Plan], act: Callable[[Ctx, str], Any], *, again_is_well: bool = False) -> None:
        """Plan, then act on what was shown: refused just when the plan says so, or when there is nothing to plan.

        `again_is_well`: what was done already is answered as done.
        """
        self.tick()
        try:
            with self.db.unit_of_work(SUPPORT) as ctx:
                planned = plan(ctx)
        except DomainError:
            return
        if planned.refusal is None or again_is_well:
            with self.db.unit_of_work(SUPPORT) as ctx:
                act(ctx, planned.fingerprint)
            return
        with pytest.raises(DomainError), self.db.unit_of_work(SUPPORT) as ctx:
            act(ctx, planned.fingerprint)

    def drawn(self, data: st.DataObject, column: Any) -> Any:
        there = self.column(column)
        return data.draw(st.sampled_from(there)) if there else None

    @rule(data=st.data())
    def staff_merge(self, data: st.DataObject) -> None:
        ids = {"pending_profile_id": self.drawn(data, PendingProfile.id), "user_id": self.drawn(data, Profile.user_id)}
        if None not in ids.values():
            self.act(
                lambda ctx: claims.plan_for_user(ctx, **ids),
                lambda ctx, shown: claims.claim_for_user(ctx, **ids, reason="asked", shown=shown),
                again_is_well=self.row(PendingProfile, ids["pending_profile_id"]).claimed_by_user_id == ids["user_id"],
            )

    @rule(data=st.data())
    def staff_undo(self, data: st.DataObject) -> None:
        merge_id = self.drawn(data, Merge.id)
        if merge_id is not None:
            self.act(
                lambda ctx: undo.plan(ctx, merge_id=merge_id),
                lambda ctx, shown: undo.undo(ctx, merge_id=merge_id, reason="wrong", shown=shown),
            )

    @rule(data=st.data(), back=st.booleans())
    def staff_move_a_membership(self, data: st.DataObject, back: bool) -> None:
        number, user = self.drawn(data, ProviderMembership.id), self.drawn(data, Profile.user_id)
        if number is None or user is None:
            return
        there = {"membership_id": number, "user_id": user}
        if back:
            self.act(
                lambda ctx: moving.plan_back(ctx, membership_id=number),
                lambda ctx, shown: moving.move_back(ctx, membership_id=number, reason="wrong", shown=shown),
            )
        else:
            self.act(
                lambda ctx: moving.plan_move(ctx, **there),
                lambda ctx, shown: moving.move(ctx, **there, reason="asked", shown=shown),
            )

    @rule(data=st.data())
    def staff_delete(self, data: st.DataObject) -> None:
        number = self.drawn(data, PendingProfile.id)
        if number is not None:
            self.act(
                lambda ctx: pending_profiles.plan_delete(ctx, pending_profile_id=number),
                lambda ctx, shown: pending_profiles.delete(
                    ctx, pending_profile_id=number, reason="refunded", shown=shown
                ),
            )

    @rule(data=st.data(), days=st.one_of(st.none(), st.integers(1, 60)))
    def staff_give_a_membership(self, data: st.DataObject, days: int | None) -> None:
        user = self.drawn(data, Profile.user_id)
        until = None if days is None else self.clock() + timedelta(days=days)
        self.act(
            lambda ctx: complimentary.plan_give(ctx, user_id=user, until=until),
            lambda ctx, shown: complimentary.give(ctx, user_id=user, until=until, reason="a prize", shown=shown),
        )

    @rule(data=st.data(), way=st.sampled_from(["add", "take", "renew"]), amount=st.integers(1, 1500))
    def staff_adjust_credits(self, data: st.DataObject, way: str, amount: int) -> None:
        wish = {"user_id": self.drawn(data, Profile.user_id), "way": way, "amount": str(amount)}
        self.act(
            lambda ctx: credit_adjusting.plan(ctx, **wish),
            lambda ctx, shown: credit_adjusting.adjust(ctx, **wish, reason="asked", shown=shown),
        )

    @precondition(lambda self: self.rows(Adjustment))
    @rule(data=st.data())
    def staff_undo_by_hand(self, data: st.DataObject) -> None:
        number = self.drawn(data, Adjustment.id)
        self.act(
            lambda ctx: adjustment_undo.plan(ctx, adjustment_id=number),
            lambda ctx, shown: adjustment_undo.undo(ctx, adjustment_id=number, reason="wrong", shown=shown),
        )

    @precondition(lambda self: any(not one.resolved_at for one in self.rows(ExtraPurchase)))
    @rule(data=st.data())
    def support_decides_on_an_extra_purchase(self, data: st.DataObject) -> None:
        which = data.draw(st.sampled_from(sorted(one.id for one in self.rows(ExtraPurchase) if not one.resolved_at)))
        self.tick()
        with self.db.unit_of_work(SUPPORT) as ctx:
            pending_profiles.settle_extra(ctx, extra_id=which, resolution="wanted", reason="asked")

    # -- in the end ----------------------------------------------------------------------------------------------

    def in_the_end(self) -> None:
        """When all is delivered and everybody has signed in, what lives is held once, and by nobody who is free."""
        while self.undelivered:
            self.undelivered.pop(0)()
        for user in sorted(self.world.accounts):
            self.sign_in(user)
        self.every_rule_about_people_holds()
        pro = {one.user_id for one in self.rows(Profile) if one.membership is Membership.PRO}
        for row in self.rows(ProviderMembership):
            if row.is_live:
                assert row.profile_user_id in pro or row.pending_profile_id is not None
                assert row.profile_user_id is None or row.profile_user_id in self.world.accounts


@pytest.fixture
def machine(_shared_engine: Engine) -> type[People]:
    return type("PeopleHere", (People,), {"engine": _shared_engine})


def test_what_must_be_true_of_people_stays_true_whatever_happens(machine: type[People]) -> None:
    run_state_machine_as_test(machine, settings=often((10, 800), (30, 70)))
