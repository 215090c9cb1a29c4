"""Members at both providers whose membership is canceled there, as the tests of canceling look at them."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.jobs import billing, memberships
from admin_app.services.core.plans import Plan
from admin_app.services.purchases import canceling, claims
from admin_app.services.purchases.cancel_actions import CancelAction, Snapshot, ask_for_plan
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from models import (
    Membership,
    MembershipStatus,
    Profile,
    ProviderCall,
    ProviderMembership,
)
from tests.house import House
from tests.services.factories import SUPPORT, add_profile, customer

BOTH = pytest.mark.parametrize("provider", ["whop", "stripe"])
numbers = count(1)


@dataclass
class Member:
    """Somebody whose membership is at one of the simulated providers, known here as it is there."""

    house: House
    user_id: str
    provider: str
    external_id: str

    @property
    def row(self) -> ProviderMembership:
        with self.house.db.read_only() as session:
            return session.query(ProviderMembership).filter_by(external_id=self.external_id).one()

    @property
    def profile(self) -> Profile:
        with self.house.db.read_only() as session:
            return session.get_one(Profile, self.user_id)

    @property
    def access(self) -> tuple[Membership, MembershipStatus, bool]:
        profile = self.profile
        return profile.membership, self.row.status, self.row.cancel_at_period_end

    @property
    def calls(self) -> list[ProviderCall]:
        return self.house.rows(select(ProviderCall).order_by(ProviderCall.id))

    def snapshot(self) -> Snapshot:
        return ask_for_plan(self.house.bench.providers, self.row)

    def plan(self, action: CancelAction, snapshot: Snapshot | None = None) -> Plan:
        snapshot = snapshot or self.snapshot()
        with self.house.db.unit_of_work(SUPPORT) as ctx:
            return canceling.plan(ctx, membership_id=self.row.id, action=action, snapshot=snapshot)

    def begin(
        self, action: CancelAction, *, shown: Plan | None = None, snapshot: Snapshot | None = None, actor: Any = SUPPORT
    ) -> None:
        snapshot = snapshot or self.snapshot()
        plan = shown or self.plan(action, snapshot)
        with self.house.db.unit_of_work(actor) as ctx:
            canceling.begin(
                ctx,
                membership_id=self.row.id,
                action=action,
                snapshot=snapshot,
                reason="asked for it",
                shown=plan.fingerprint,
            )

    def act(self, action: CancelAction) -> None:
        self.begin(action)
        self.house.work()

    def there(self, *, cancels: bool | None = None, deliver: bool = False) -> None:
        """What the buyer does at the provider themselves: it ends now, or with its period, or not after all."""
        house, identity = self.house, self.external_id
        if self.provider == "whop":
            if cancels is None:
                control.deactivate(house.simulator, identity, deliver=deliver)
            else:
                control.cancel_at_period_end(house.simulator, identity, cancels=cancels, deliver=deliver)
        elif cancels is False:
            control_stripe.uncancel(house.simulator, identity, deliver=deliver)
        else:
            control_stripe.cancel(house.simulator, identity, at_period_end=cancels is True, deliver=deliver)

    def is_there(self) -> tuple[bool, bool]:
        snapshot = self.snapshot()
        return snapshot.is_live, snapshot.is_live and snapshot.ends_with_period


def member(house: House, provider: str, *, plan: str = "monthly") -> Member:
    number = next(numbers)
    email, user_id = f"cancels{number}-{plan}@example.com", f"user_cancels{number}"
    if provider == "whop":
        bought = control.purchase(house.simulator, email=email, plan=plan, deliver=False)["membership_id"]
        memberships.compare(house.bench, bought)
        with house.db.unit_of_work(customer(user_id, email)) as ctx:
            claims.sign_in(ctx)
        made = Member(house, user_id, provider, bought)
    else:
        begun = control_stripe.subscribe(house.simulator, email=email, deliver=False)
        add_profile(
            house.db,
            user_id,
            email=email,
            membership="pro",
            payment_provider="stripe",
            stripe_subscription_id=str(begun["id"]),
            stripe_customer_id=str(begun["customer"]),
        )
        billing.ask_about_one(house.bench, str(begun["id"]))
        made = Member(house, user_id, provider, str(begun["id"]))
    assert made.access[:2] == (Membership.PRO, MembershipStatus.ACTIVE)
    house.work()
    return made


PRO, FREE = Membership.PRO, Membership.FREE
ACTIVE, INACTIVE = MembershipStatus.ACTIVE, MembershipStatus.INACTIVE
