"""The one search box: what it finds, for whom, and what it costs."""

from collections.abc import Callable

from bs4 import BeautifulSoup

from admin_app.db import Database
from models import MembershipPayment, ProviderMembership, Refund, Role
from tests.console.conftest import SETUP, counted_queries
from tests.console.page_checks import CheckedClient
from tests.console.rows import one_of_everything

ClientFor = Callable[[Role], CheckedClient]


def sections_found(client: CheckedClient, typed: str) -> list[str]:
    page = BeautifulSoup(client.get("/admin/search/", query_string={"q": typed}).text, "html5lib")
    return [heading.get_text() for heading in page.select("main h2")]


def test_everything_about_a_customer_is_found_from_one_box(client_for: ClientFor, db: Database) -> None:
    client = client_for(Role.SUPPORT)
    with db.unit_of_work(SETUP) as ctx:
        one_of_everything(ctx.session)
    assert sections_found(client, "ANN@example.com") == ["Profiles", "Users", "Bookings", "Meetings"]
    assert sections_found(client, "mem_1") == ["All purchases", "Profiles", "Provider events", "Memberships"]
    assert sections_found(client, "nobody@example.com") == []
    assert sections_found(client, "an") == []


def test_what_a_provider_sold_was_paid_for_and_refunded_is_found_by_its_id(client_for: ClientFor, db: Database) -> None:
    """By the whole of it alone."""
    with db.unit_of_work(SETUP) as ctx:
        one_of_everything(ctx.session)
        paid = ctx.session.query(MembershipPayment).one()
        refund = ctx.session.query(Refund).one()
        paid.external_id, paid.invoice_id = "pay_77", "in_77"
        refund.whop_refund_id, refund.stripe_refund_id = "rf_77", "re_77"
        ctx.session.query(ProviderMembership).update({"external_id": "sub_77"})
    finance = client_for(Role.FINANCE)
    found = {
        "sub_77": ["Memberships"],
        "pay_77": ["Membership payments"],
        "in_77": ["Membership payments"],
        "rf_77": ["Refunds"],
        "re_77": ["Refunds"],
        "pay_7": [],
        "rf_": [],
    }
    assert {typed: sections_found(finance, typed) for typed in found} == found


def test_hostile_words_are_words(client_for: ClientFor) -> None:
    response = client_for(Role.SUPPORT).get("/admin/search/", query_string={"q": "<script>alert(1)</script>"})
    assert response.status_code == 200
    assert "<script>alert" not in response.text
    assert client_for(Role.SUPPORT).get("/admin/search/?q=%00abc").status_code == 422


def test_a_search_asks_each_section_at_most_twice(client_for: ClientFor, db: Database) -> None:
    client = client_for(Role.SUPPORT)
    with counted_queries(db) as statements:
        client.get("/admin/search/?q=annberg")
    # Who is asking, then by equality and by part in each of seven sections.
    assert len(statements) <= 1 + 2 * 7
