"""Whatever Stripe, finance and the clock do to one client in whatever order: what is in force follows from the facts.

The model keeps the facts only: what was fetched last, which override and which trial run until when. What must hold is
worked out from them anew at every step, independently of how it came to be.
"""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine

from admin_app.errors import Conflict
from admin_app.integrations.money_ports import StripeSubscription
from admin_app.services import billing
from admin_app.services.subscriptions import billing_mapping
from models import BillingStatus, Movement
from tests.machines import OnDatabase, often
from tests.services.billing.test_billing_overrides import follow_the_clock, lift, override
from tests.services.billing.test_trials import extend, grant
from tests.services.client_rows import DAY, NOW, add_client, client_now, steps_of, subscription
from tests.services.money import STRIPE

OFTEN = often((10, 600), (20, 50))
S = BillingStatus

words = st.sampled_from([*billing_mapping.MEANINGS, "brand_new"])
names = st.sampled_from(["sub_1", "sub_2"])
amounts = st.sampled_from([0, 4_900, 9_900])
days = st.integers(1, 9)


class Billing(OnDatabase):
    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.client_id = add_client(self.db, stripe_customer_id="cus_1")
        self.fetched: dict[str, tuple[datetime, StripeSubscription]] = {}
        self.override: tuple[BillingStatus, datetime] | None = None
        self.granted: datetime | None = None
        self.trial_began: list[datetime] = []

    @rule(name=names, word=words, amount=amounts, late=st.integers(0, 3), cancels=st.booleans())
    def hears(self, name: str, word: str, amount: int, late: int, cancels: bool) -> None:
        """What was fetched so many days ago is taken in now."""
        fetched_at = self.now - late * DAY
        found = subscription(
            word,
            id=name,
            monthly_amount=amount,
            cancel_at_period_end=cancels,
            canceled_at=self.now - DAY if cancels else None,
            trial_end=NOW + 5 * DAY if word == "trialing" else None,
            ended_at=fetched_at if word == "canceled" else None,
        )
        with self.db.unit_of_work(STRIPE) as ctx:
            billing.apply_subscription(ctx, found, cause="stripe", fetched_at=fetched_at)
        if name not in self.fetched or self.fetched[name][0] <= fetched_at:
            self.fetched[name] = (fetched_at, found)
            if (began := billing_mapping.trial_began_at(found)) is not None:
                self.trial_began.append(began)

    @rule(status=st.sampled_from(list(S)), until=days)
    def overrides(self, status: BillingStatus, until: int) -> None:
        override(self.db, self.client_id, status.value, self.now + until * DAY)
        self.override = (status, self.now + until * DAY)

    @rule()
    def lifts(self) -> None:
        if self.override is None:
            with pytest.raises(Conflict):
                lift(self.db, self.client_id)
        else:
            lift(self.db, self.client_id)
        self.override = None

    @rule(until=days)
    def grants(self, until: int) -> None:
        try:
            grant(self.db, self.client_id, self.now + until * DAY)
        except Conflict:
            assert self.trial_began or self.live() or self.basis()[0] not in (S.NONE, S.CANCELED)
            return
        assert not self.trial_began
        self.granted = self.now + until * DAY
        self.trial_began.append(self.now)

    @rule(until=days)
    def extends(self, until: int) -> None:
        try:
            extend(self.db, self.client_id, self.now + until * DAY)
        except Conflict:
            return
        if not self.live():
            assert self.granted is not None
            assert not self.subscribed_since()
            assert self.granted < self.now + until * DAY
            self.granted = self.now + until * DAY

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        follow_the_clock(self.db, self.now)
        self.db.clock = lambda: self.now
        if self.override is not None and self.override[1] <= self.now:
            self.override = None

    @invariant()
    def what_is_in_force_follows_from_the_facts(self) -> None:
        if not hasattr(self, "client_id"):
            return
        client = client_now(self.db, self.client_id)
        assert (client.billing_status, client.payment_active) == self.in_force()
        assert client.trial_used_at == (min(self.trial_began) if self.trial_began else None)

    @invariant()
    def the_steps_add_up(self) -> None:
        if not hasattr(self, "client_id"):
            return
        steps = steps_of(self.db, self.client_id)
        pays = sum(found.monthly_amount for _, found in self.fetched.values() if found.status in ("active", "past_due"))
        assert sum(step.monthly_after - step.monthly_before for step in steps) == pays
        assert [step.at for step in steps] == sorted(step.at for step in steps)
        assert all(step.at <= self.now for step in steps)
        assert all(one.status_after is next_one.status_before for one, next_one in pairwise(steps))
        moved = [step for step in steps if step.movement is not Movement.NONE]
        assert all((step.monthly_before == 0) is (step.movement is Movement.NEW) for step in moved)
        if steps:
            assert steps[-1].status_after is self.in_force()[0]

    def live(self) -> list[StripeSubscription]:
        return [found for _, found in self.fetched.values() if not billing_mapping.is_over(found)]

    def subscribed_since(self) -> bool:
        """Any that ended after the trial began; what never began did not."""
        ended = [found.ended_at for _, found in self.fetched.values() if found.status == "canceled"]
        return any(moment is not None and moment > min(self.trial_began) for moment in ended)

    def basis(self) -> tuple[BillingStatus, bool]:
        if self.granted is not None and self.granted > self.now and not self.live() and not self.subscribed_since():
            return S.TRIAL, True
        counts = billing_mapping.most_access([found for _, found in self.fetched.values()])
        return billing_mapping.meaning(counts.status if counts else None)

    def in_force(self) -> tuple[BillingStatus, bool]:
        if self.override is None:
            return self.basis()
        return self.override[0], self.override[0] in (S.ACTIVE, S.TRIAL)


@pytest.fixture
def machine(_shared_engine: Engine) -> type[Billing]:
    return type("BillingHere", (Billing,), {"engine": _shared_engine})


def test_billing_follows_from_the_facts_whatever_happens(machine: type[Billing]) -> None:
    run_state_machine_as_test(machine, settings=OFTEN)
