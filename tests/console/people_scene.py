"""People and memberships as a command finds them: bought at the simulated Whop, signed in at the simulated Clerk."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from sqlalchemy import select

from admin_app.jobs import memberships, people
from admin_app.services.memberships import asking, complimentary, credit_adjusting
from admin_app.simulator import control
from models import (
    MembershipPayment,
    PersonAddress,
    ProviderMembership,
)
from tests.house import House
from tests.services.factories import SUPPORT, add_user
from tests.services.memberships import paying

NUMBERS = count(1)


@dataclass
class People:
    """Each person and purchase of it is one that no other test has."""

    house: House

    def email(self, what: str = "buyer") -> str:
        return f"{what}{next(NUMBERS)}@people.example.com"

    def account(self, email: str | None = None) -> str:
        """Somebody who signed in, and what waits under their address is theirs; their id."""
        address = email or self.email("account")
        user_id, token = self.house.customer(address)
        answer = self.house.post("/api/profiles/sign-in", token=token)
        assert answer.status_code == 200, answer.text
        self.house.work()
        return user_id

    def known(self) -> str:
        """Somebody who signed in at the earlier system, which left them without a profile."""
        name = f"user_known{next(NUMBERS)}"
        add_user(self.house.db, name, email=f"{name}@people.example.com", name="Kay")
        return name

    def bought(self, email: str | None = None, **parts: Any) -> ProviderMembership:
        """A membership bought at Whop under this address, as it is known here."""
        address = email or self.email()
        sold = control.purchase(self.house.simulator, email=address, deliver=False, **parts)
        memberships.compare(self.house.bench, sold["membership_id"])
        self.house.work()
        return self.membership(sold["membership_id"])

    def subscribed(self) -> ProviderMembership:
        """A Stripe subscription that is the membership of an account, asked about once."""
        name = f"subscriber{next(NUMBERS)}"
        begun = paying.subscriber(self.house, name)
        paying.deliver(self.house, *paying.told(self.house, begun["id"], "customer.subscription.created"))
        return self.membership(str(begun["id"]))

    def ended(self, row: ProviderMembership) -> ProviderMembership:
        """It ended at Whop."""
        control.deactivate(self.house.simulator, str(row.external_id), deliver=False)
        memberships.compare(self.house.bench, str(row.external_id))
        self.house.work()
        return self.membership(str(row.external_id))

    def member(self) -> tuple[str, ProviderMembership]:
        """An account and the membership that it bought."""
        email = self.email("member")
        row = self.bought(email)
        user_id = self.account(email)
        row = self.membership(str(row.external_id))
        assert row.profile_user_id == user_id
        return user_id, row

    def payment(self, row: ProviderMembership) -> MembershipPayment:
        """What was paid for it, as Whop says."""
        asking.ask(lambda: self.house.db.unit_of_work(SUPPORT), self.house.bench.providers, membership_id=row.id)
        (found,) = self.house.rows(select(MembershipPayment).where(MembershipPayment.membership_id == row.id))
        assert isinstance(found, MembershipPayment)
        return found

    def membership(self, external_id: str) -> ProviderMembership:
        (row,) = self.house.rows(select(ProviderMembership).where(ProviderMembership.external_id == external_id))
        assert isinstance(row, ProviderMembership)
        return row

    def given(self, user_id: str, until: Any = None) -> ProviderMembership:
        """A complimentary membership of this account."""
        self.by_hand(complimentary.plan_give, complimentary.give, user_id=user_id, until=until)
        mine = ProviderMembership.profile_user_id == user_id, ProviderMembership.provider.is_(None)
        (row,) = self.house.rows(select(ProviderMembership).where(*mine))
        assert isinstance(row, ProviderMembership)
        return row

    def adjusted(self, user_id: str, way: str, amount: int = 100) -> None:
        self.by_hand(credit_adjusting.plan, credit_adjusting.adjust, user_id=user_id, way=way, amount=str(amount))

    def by_hand(self, plan: Any, act: Any, **what: Any) -> None:
        """Somebody of support does it, as its plan says."""
        with self.house.db.unit_of_work(SUPPORT) as ctx:
            shown = plan(ctx, **what)
        assert shown.refusal is None, shown.refusal
        with self.house.db.unit_of_work(SUPPORT) as ctx:
            act(ctx, **what, reason="asked", shown=shown.fingerprint)

    def newest(self, model: type[Any]) -> int:
        return max(row.id for row in self.house.rows(select(model)))

    def addresses(self, other: str | None = None) -> tuple[str, PersonAddress, PersonAddress]:
        """Somebody with a primary address and another one, both verified; who signed in by neither."""
        number = next(NUMBERS)
        made = control.create_user(self.house.simulator, name="Ada", email=f"main{number}@people.example.com")
        control.add_address(self.house.simulator, made["id"], other or f"old{number}@people.example.com")
        people.ask(self.house.bench, made["id"])
        mine = select(PersonAddress).where(PersonAddress.user_id == made["id"])
        main, old = self.house.rows(mine.order_by(PersonAddress.is_primary.desc()))
        return str(made["id"]), main, old

    def compared(self, row: ProviderMembership) -> None:
        """Whop is asked how it is now."""
        memberships.compare(self.house.bench, str(row.external_id))
        self.house.work()

    def given_ended(self, user_id: str) -> None:
        """What staff gave, ended by staff."""
        row = self.given(user_id)
        self.by_hand(complimentary.plan_end, complimentary.end, membership_id=row.id)

    def waiting_under(self) -> str:
        """An address under which a purchase waits."""
        email = self.email("waits")
        self.bought(email)
        return email
