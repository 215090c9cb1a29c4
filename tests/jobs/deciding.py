"""Who has a provider told something, what is refused, and what calls without an answer meet: time, and a lost queue."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from admin_app.context import Staff
from admin_app.errors import Conflict
from models import Role
from tests.house import House
from tests.services.factories import OPERATOR

FINANCE = Staff(3, "finance@demo.test", Role.FINANCE)
OPS = Staff(4, "ops@demo.test", Role.OPS)


@contextmanager
def refused(because: str) -> Iterator[None]:
    with pytest.raises(Conflict) as raised:
        yield
    assert because in raised.value.sentence


def later(house: House, by: timedelta) -> None:
    now = house.db.clock()
    house.db.clock = lambda: now + by  # type: ignore[method-assign]


def forget_jobs(house: House) -> None:
    """As when the queue lost them."""
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
