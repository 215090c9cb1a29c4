"""What staff give and take by hand, as steps of the machine about purchases."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from admin_app.context import Job
from admin_app.errors import Conflict, InvalidInput
from admin_app.services.memberships import adjustment_undo, complimentary, credit_adjusting
from models import Adjustment, AdjustmentKind
from tests.services.factories import SUPPORT
from tests.services.purchases.purchase_checks import Checked

# bob's address is verified by two accounts in turn: whoever signed in last has it; nobody but staff reaches dora's
PEOPLE = {
    "user_a": ["ada@example.com"],
    "user_b": ["bob@example.com", "cleo@example.com"],
    "user_c": ["bob@example.com"],
}
people = st.sampled_from(sorted(PEOPLE))
DAY = 24 * 60


class ByHand(Checked):
    def known(self) -> set[str]:
        return {"user_a", "user_b"} | self.model.profiles.keys() | self.signed_in()

    def own_email(self, user: str) -> str | None:
        return PEOPLE[user][0] if user == "user_a" or user in self.signed_in() else None

    def by_hand(self, plan: Any, act: Any, **what: Any) -> Any:
        """What came of it; None where the plan refused, and the act with it."""
        with self.db.unit_of_work(SUPPORT) as ctx:
            shown = plan(ctx, **what)
        try:
            with self.db.unit_of_work(SUPPORT) as ctx:
                done = act(ctx, **what, reason="asked", shown=shown.fingerprint)
                number: int = done.id
        except Conflict:
            assert shown.refusal is not None
            return None
        assert shown.refusal is None
        return number

    @rule(user=people, days=st.one_of(st.none(), st.integers(1, 60)))
    def staff_give_a_membership(self, user: str, days: int | None) -> None:
        if user not in self.known():
            return
        until = None if days is None else self.tick() + days * DAY
        own = self.own_email(user)
        end = None if until is None else self.at(until)
        number = self.by_hand(complimentary.plan_give, complimentary.give, user_id=user, until=end)
        assert (number is None) == self.model.has_given(user)
        if number is not None:
            self.model.give(user, number, until, own)

    @precondition(lambda self: any(row["live"] for row in self.model.given.values()))
    @rule(data=st.data(), days=st.one_of(st.none(), st.integers(1, 60)))
    def staff_change_its_end(self, data: st.DataObject, days: int | None) -> None:
        number = data.draw(st.sampled_from(sorted(n for n, row in self.model.given.items() if row["live"])))
        until = None if days is None else self.tick() + days * DAY
        wish = {"membership_id": number, "until": None if until is None else self.at(until)}
        if self.by_hand(complimentary.plan_end_change, complimentary.change_end, **wish) is not None:
            self.model.given[number]["until"] = until

    @precondition(lambda self: any(row["live"] for row in self.model.given.values()))
    @rule(data=st.data())
    def staff_end_it(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(n for n, row in self.model.given.items() if row["live"])))
        self.tick()
        assert self.by_hand(complimentary.plan_end, complimentary.end, membership_id=number) == number
        self.model.given[number] |= {"live": False, "until": self.model.now}

    def what_was_given_ends(self) -> None:
        """What the job of each minute has done by then."""
        with self.db.read_only() as session:
            due = complimentary.due(session, self.clock(), limit=100)
        for number in due:
            with self.db.unit_of_work(Job("end_memberships")) as ctx:
                assert complimentary.end_due(ctx, membership_id=number)
        with self.db.read_only() as session:
            assert complimentary.due(session, self.clock(), limit=100) == []
        self.model.end_given()

    @rule(user=people, way=st.sampled_from(["add", "take", "renew"]), amount=st.integers(1, 1500))
    def staff_adjust_credits(self, user: str, way: str, amount: int) -> None:
        if user not in self.known():
            return
        self.tick()
        own = self.own_email(user)
        wish = {"user_id": user, "way": way, "amount": str(amount)}
        try:
            done = self.by_hand(credit_adjusting.plan, credit_adjusting.adjust, **wish)
        except InvalidInput:
            assert way == "take"
            return
        if done is not None:
            self.model.profiles.setdefault(user, {"email": own})

    @precondition(lambda self: self.rows(Adjustment))
    @rule(data=st.data())
    def staff_undo_by_hand(self, data: st.DataObject) -> None:
        steps = sorted(self.rows(Adjustment), key=lambda one: one.id)[-4:]
        step = data.draw(st.sampled_from(steps))
        if step.user_id not in self.known():
            return  # the account that a claim made is gone with it
        self.tick()
        if self.by_hand(adjustment_undo.plan, adjustment_undo.undo, adjustment_id=step.id) is None:
            return
        number = step.membership_id
        if step.kind is AdjustmentKind.GIVEN:
            del self.model.given[number]
        elif step.kind in (AdjustmentKind.ENDED, AdjustmentKind.END_CHANGED):
            self.model.given[number] |= {"live": True, "until": self.minutes(step.date_before)}
