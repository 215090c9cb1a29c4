"""The page that says what makes pro: what was sold, and the settings that decide."""

import re
from typing import Any

import pytest
from bs4 import BeautifulSoup

from admin_app.context import PRO_PLANS, PRO_PRODUCTS
from admin_app.db import Database
from admin_app.services.memberships import sold
from admin_app.services.memberships.pro_rules import FREE, OTHER
from models import MembershipStatus, ProviderMembership, Role
from tests.console.conftest import counted_queries
from tests.services.factories import OPERATOR


def add(db: Database, number: int, **values: Any) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        given = {"provider": "whop", "cancel_at_period_end": False, "created_at": ctx.now, "updated_at": ctx.now}
        if values.get("ignored_because"):
            given["ignored_at"] = ctx.now
        ctx.session.add(ProviderMembership(**(given | {"external_id": f"mem_{number}"} | values)))


@pytest.fixture
def some(db: Database) -> None:
    for number in range(3):
        add(db, number, product_id="prod_pro", plan_id="plan_a")
    add(db, 3, product_id="prod_pro", plan_id="plan_a", status=MembershipStatus.INACTIVE)
    add(db, 4, product_id="prod_free", plan_id="plan_0", ignored_because=FREE)
    add(db, 5, product_id="prod_other", plan_id="plan_b")
    add(db, 6, provider="stripe", external_id="sub_1")
    add(db, 7)


def verdicts(db: Database) -> dict[tuple[str, str | None], tuple[int, int, int, bool, str]]:
    with db.read_only() as session:
        return {
            (row.provider.value, row.product_id): (row.memberships, row.live, row.pro, row.makes_pro, row.because)
            for row in sold.sold(session)
        }


def test_with_nothing_named_all_does_that_is_not_free(db: Database, some: None) -> None:
    unnamed = "nothing is named, and it is not known to be free"
    assert verdicts(db) == {
        ("whop", "prod_pro"): (4, 3, 3, True, unnamed),
        ("whop", "prod_free"): (1, 1, 0, False, FREE),
        ("whop", "prod_other"): (1, 1, 1, True, unnamed),
        ("whop", None): (1, 1, 1, True, "nobody said what was sold"),
        ("stripe", None): (1, 1, 1, True, "every subscription of a member does"),
    }


def test_what_is_named_does_and_nothing_else(db: Database, some: None) -> None:
    db._sessions.configure(info={PRO_PRODUCTS: frozenset({"prod_pro"}), PRO_PLANS: frozenset({"plan_0"})})
    found = verdicts(db)
    assert found["whop", "prod_pro"][3:] == (True, "its product is named by WHOP_PRO_PRODUCTS")
    assert found["whop", "prod_free"][3:] == (True, "its plan is named by WHOP_PRO_PLANS")
    # What was sold before the setting is pro until its next news.
    assert found["whop", "prod_other"] == (1, 1, 1, False, OTHER)


def test_the_page_reads_and_costs_few_queries(db: Database, some: None, client_for: Any) -> None:
    auditor = client_for(Role.AUDITOR)
    with counted_queries(db) as statements:
        page = auditor.get("/admin/what-makes-pro/")
    assert len(statements) <= 4
    rows = BeautifulSoup(page.text, "html5lib").select("table tbody tr")
    assert re.sub(r"\s+", " ", rows[0].get_text(" ", strip=True)) == (
        "Whop prod_pro plan_a pro nothing is named, and it is not known to be free 4 3 3"
    )
    assert page.text.count("names none") == 2


def test_what_staff_gave_was_not_sold(db: Database, some: None, client_for: Any) -> None:
    add(db, 9, provider=None, external_id=None)
    page = client_for(Role.AUDITOR).get("/admin/what-makes-pro/")
    assert page.status_code == 200
    assert len(BeautifulSoup(page.text, "html5lib").select("table tbody tr")) == len(verdicts(db))


def test_without_any_it_says_so(client_for: Any) -> None:
    assert "Nothing was sold yet" in client_for(Role.SUPPORT).get("/admin/what-makes-pro/").text
