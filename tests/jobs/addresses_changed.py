"""A person whose addresses tests have changed at the simulated Clerk, and what is known of them here and there."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from sqlalchemy import select

from admin_app.jobs import people
from admin_app.services.core.plans import Plan
from admin_app.services.purchases import address_changes
from admin_app.services.purchases.address_actions import AddressAction, Change, Snapshot, ask_for_plan
from admin_app.simulator import control
from models import AuditEntry, PersonAddress, Profile, ProviderCall
from tests.house import House
from tests.services.factories import SUPPORT

numbers = count(1)


@dataclass
class Person:
    """Somebody with an account at the simulated Clerk, known here as they are there."""

    house: House
    user_id: str
    name: str

    def email(self, word: str) -> str:
        return f"{word}-{self.name}@example.com"

    @property
    def here(self) -> list[tuple[str, bool]]:
        """The verified addresses that are kept here, without the person's own part; the primary one first."""
        mine = select(PersonAddress).where(PersonAddress.user_id == self.user_id, PersonAddress.given_up_at.is_(None))
        rows = self.house.rows(mine.order_by(PersonAddress.is_primary.desc(), PersonAddress.id))
        return [(row.email.partition("-")[0], row.is_primary) for row in rows]

    @property
    def there(self) -> list[tuple[str, bool, bool]]:
        """What Clerk has: the address, whether it is verified, whether it is the primary one."""
        person = control.person(self.house.simulator, self.user_id)
        return sorted(
            (
                one["email_address"].partition("-")[0],
                (one["verification"] or {}).get("status") == "verified",
                one["id"] == person["primary_email_address_id"],
            )
            for one in person["email_addresses"]
        )

    @property
    def profile(self) -> Profile:
        with self.house.db.read_only() as session:
            return session.get_one(Profile, self.user_id)

    @property
    def calls(self) -> list[ProviderCall]:
        mine = select(ProviderCall).where(ProviderCall.subject == f"profile:{self.user_id}")
        return self.house.rows(mine.order_by(ProviderCall.id))

    def snapshot(self) -> Snapshot:
        return ask_for_plan(self.house.bench.providers, self.user_id)

    def about(self, word: str, action: AddressAction) -> Change:
        return Change(action, self.user_id, self.email(word))

    def right_one(self, word: str, *, wrong: str | None = None, verified: bool = True) -> Change:
        with self.house.db.read_only() as session:
            wrong_id = None
            if wrong is not None:
                mine = (PersonAddress.email == self.email(wrong), PersonAddress.given_up_at.is_(None))
                wrong_id = session.scalars(select(PersonAddress.id).where(*mine)).one()
            email = self.email(word)
            return address_changes.right_one(
                session, self.snapshot(), user_id=self.user_id, email=email, verified=verified, wrong_id=wrong_id
            )

    def plan(self, change: Change, snapshot: Snapshot | None = None) -> Plan:
        snapshot = snapshot or self.snapshot()
        with self.house.db.unit_of_work(SUPPORT) as ctx:
            return address_changes.plan(ctx, change=change, snapshot=snapshot)

    def begin(
        self, change: Change, *, shown: Plan | None = None, snapshot: Snapshot | None = None, actor: Any = SUPPORT
    ) -> None:
        snapshot = snapshot or self.snapshot()
        plan = shown or self.plan(change, snapshot)
        with self.house.db.unit_of_work(actor) as ctx:
            address_changes.begin(ctx, change=change, snapshot=snapshot, reason="she wrote", shown=plan.fingerprint)

    def act(self, change: Change) -> None:
        self.begin(change)
        self.house.work()


def person(house: House, *more: str, linked: bool = False) -> Person:
    """With the verified primary address `main` and these besides."""
    name = f"p{next(numbers)}"
    user_id, _ = house.customer(f"main-{name}@example.com")
    made = Person(house, user_id, name)
    for word in more:
        control.add_address(house.simulator, user_id, made.email(word), linked=linked)
    people.ask(house.bench, user_id)
    assert made.here == [("main", True), *((word, False) for word in sorted(more))]
    return made


def asked(house: House) -> list[AuditEntry]:
    decided = select(AuditEntry).where(AuditEntry.event == "person.address_change_asked")
    return house.rows(decided.order_by(AuditEntry.id))
