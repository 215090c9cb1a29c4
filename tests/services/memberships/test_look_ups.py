"""Every event of a provider looks for whom it is about: by an index, however many people there are."""

from typing import Any

import pytest
from sqlalchemy import Connection, event

from admin_app.db import Database
from admin_app.services.purchases import holders
from models import PaymentProvider
from tests.services.money import STRIPE


class Plans(list[str]):
    """The plans of what is read, with scans of whole tables as the planner's last resort."""

    def explain(self, connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "pg_advisory" not in statement:
            with connection.connection.cursor() as side:
                side.execute("SET LOCAL enable_seqscan = off")
                side.execute(f"EXPLAIN {statement}", parameters)
                self.append("\n".join(row[0] for row in side.fetchall()))

    def using(self, index: str) -> list[str]:
        return [plan for plan in self if index in plan]


@pytest.fixture
def plans(db: Database) -> Any:
    found = Plans()
    event.listen(db.engine, "before_cursor_execute", found.explain)
    yield found
    event.remove(db.engine, "before_cursor_execute", found.explain)


def test_whose_a_stripe_subscription_is_looked_up_by_an_index(db: Database, plans: Plans) -> None:
    with db.unit_of_work(STRIPE) as ctx:
        holders.of_membership(ctx, "sub_1", PaymentProvider.STRIPE)
    with db.read_only() as session:
        holders.shown(session, "sub_1", PaymentProvider.STRIPE)
    assert len(plans.using("ix_profiles_stripe_subscription_id")) == 2
    assert [plan for plan in plans if "Seq Scan" in plan] == []
