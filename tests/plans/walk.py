"""Jobs that no short test goes through as the worker does: flows of `test_plans.py`, and no tests of their own."""

from collections.abc import Callable
from importlib import import_module

from admin_app.jobs import billing, guests
from tests.house import House, house, simulator
from tests.plans.tasks import recurring
from tests.services import diary
from tests.services.clients.flags import add_client

__all__ = ["house", "simulator"]


def test_each_recurring_one_looks_for_what_is_due(house: House) -> None:
    """Where there is nothing to do, what they look for is asked all the same."""
    for module, function in recurring():
        do: Callable[..., object] = getattr(import_module(f"admin_app.jobs.{module}"), function)
        do(house.bench)


def test_a_clients_billing_follows(house: House) -> None:
    billing.refresh(house.bench, add_client(house.db))


def test_a_guest_is_registered(house: House) -> None:
    starts_at = diary.tomorrow(house.db.clock())
    subject = diary.meeting(house.db, diary.offered(house.db), starts_at, guest_email="mona@plans.example.com")
    guests.register(house.bench, int(subject.partition(":")[2]))
