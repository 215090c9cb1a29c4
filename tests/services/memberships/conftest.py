"""Accounts that pay, for whatever moves between them."""

import pytest

from admin_app.db import Database
from admin_app.services import purchases
from tests.services.factories import NOON, WHOP, add_profile, facts
from tests.services.memberships.moves import use


@pytest.fixture
def both(db: Database) -> Database:
    """Two accounts that pay, with 840 and 947 credits left, and one that does not."""
    later = {"now": NOON}
    db.clock = lambda: later["now"]
    db.later = later  # type: ignore[attr-defined]
    for letter, used in (("a", 160), ("b", 53)):
        add_profile(db, f"user_{letter}", email=f"{letter}@example.com", created_at=NOON, updated_at=NOON)
        with db.unit_of_work(WHOP) as ctx:
            purchases.record(
                ctx, facts(f"{letter}@example.com", membership_id=f"mem_{letter}", whop_user_id=f"whop_{letter}")
            )
        use(db, f"user_{letter}", used)
    add_profile(db, "user_c", email="c@example.com", created_at=NOON, updated_at=NOON)
    return db
