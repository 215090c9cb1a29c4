"""Finance in the console: every number's list holds exactly what it counts, and a month is closed and taken away."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask

from admin_app.db import Database
from admin_app.services.core.utc_months import begins, following, month_of, month_text
from models import BillingStatus, Payment, RefundState, Role
from tests.console.conftest import SETUP, counted_queries, form_token
from tests.console.page_checks import CheckedClient
from tests.services.billing_rows import add_client, add_steps, add_subscription
from tests.services.finance.test_months import add_paid, add_refund
from tests.services.money import add_dispute

ClientFor = Callable[[Role], CheckedClient]
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
LAST_MONTH = following(month_of(NOW), -1)
ACTIVE, TRIAL, PAST_DUE, CANCELED = (
    BillingStatus.ACTIVE,
    BillingStatus.TRIAL,
    BillingStatus.PAST_DUE,
    BillingStatus.CANCELED,
)


@pytest.fixture
def business(app: Flask, db: Database) -> None:
    """Some of everything that finance counts, in two currencies."""
    earlier = begins(following(month_of(NOW), -3)) + 3 * DAY
    last = begins(LAST_MONTH) + 5 * DAY
    # On the first day of a month, yesterday would be in the last one.
    lately = max(NOW - DAY, begins(month_of(NOW)))
    with db.unit_of_work(SETUP) as ctx:
        for number in range(6):
            client = add_client(ctx, f"Client {number}", billing_status=ACTIVE)
            currency = "jpy" if number == 5 else "eur"
            add_steps(ctx, client, [(earlier, TRIAL, None, 0), (last, ACTIVE, currency, 900 + number)])
        more = add_client(ctx, "Grows and goes", billing_status=CANCELED)
        add_steps(ctx, more, [(earlier, ACTIVE, "eur", 500), (last, ACTIVE, "eur", 800), (lately, CANCELED, "eur", 0)])
        due = add_client(ctx, "Pays late", billing_status=PAST_DUE)
        add_steps(ctx, due, [(earlier, ACTIVE, "eur", 1_000), (last, PAST_DUE, "eur", 700)])
        for days in (1, 9, 9, 60):
            add_subscription(ctx, due, past_due_since=NOW - days * DAY, amount_due=700, status="past_due")
        for days in (0, 3, 20):
            add_client(ctx, f"On trial {days}", billing_status=TRIAL, trial_ends_at=NOW + days * DAY + DAY / 96)
        leaves = add_client(ctx, "Leaves", billing_status=ACTIVE, pending_cancellation=True)
        add_subscription(ctx, leaves, cancel_at=NOW + 6 * DAY)
        paid = add_paid(ctx, 10_000, last)
        add_refund(ctx, paid, 2_000, last + DAY)
        add_refund(ctx, paid, 100, NOW - 2 * DAY).state = RefundState.UNKNOWN
        disputed = add_paid(ctx, 5_000, last)
        add_dispute(ctx, disputed, due_by=NOW + 2 * DAY, amount=4_000)
        add_dispute(ctx, disputed, due_by=NOW + 3 * DAY, amount=1_000)
        add_dispute(ctx, add_paid(ctx, 4_000, last))


def soup(client: CheckedClient, address: str) -> BeautifulSoup:
    response = client.get(address)
    assert response.status_code == 200, address
    return BeautifulSoup(response.text, "html5lib")


def rows_of(client: CheckedClient, address: str) -> int:
    """How many records a list shows; it must understand every filter of its address."""
    page = soup(client, address)
    assert not page.select(".note-warn"), address
    chips = page.select(".chip")
    narrowed = {name for name in parse_qs(urlsplit(address).query) if name != "sort"}
    assert len(chips) == len(narrowed), address
    return len(page.select("table.sheet tbody tr"))


def counted(link: Tag) -> int | None:
    """The number that a link of the page is about."""
    text = link.get("aria-label") or link.get_text(" ")
    labelled = re.search(r"(?:: |, )([\d,]+)(?: steps)?$", str(link.get("aria-label") or ""))
    from_clients = re.search(r"from ([\d,]+) client", str(text))
    first = re.match(r"\s*([\d,]+)\b", str(text))
    found = from_clients or labelled or first
    return int(found[1].replace(",", "")) if found else None


def test_every_number_of_the_page_opens_to_exactly_its_rows(business: None, client_for: ClientFor) -> None:
    client = client_for(Role.FINANCE)
    page = soup(client, "/admin/finance/")
    links = page.select(".figures a, .buckets a, .chart-table a[aria-label], .ledger a[aria-label]")
    opened: dict[str, int] = {}
    for link in links:
        number, address = counted(link), str(link["href"])
        assert number is not None, link
        if address not in opened:
            opened[address] = rows_of(client, address)
        assert opened[address] == number, (address, link.get_text(" "))
    sections = {urlsplit(address).path for address in opened}
    assert sections == {
        *("/admin/past-due/", "/admin/cancellations/", "/admin/clients/", "/admin/disputes/", "/admin/refunds/"),
        "/admin/billing-changes/",
    }
    assert sum(count > 0 for count in opened.values()) > 15


def test_bars_of_revenue_open_to_the_clients_it_comes_from(business: None, client_for: ClientFor) -> None:
    client = client_for(Role.FINANCE)
    page = soup(client, "/admin/finance/")
    bars = {str(link["href"]) for link in page.select("svg.bars a[href*=revenue_at]")}
    assert len(bars) == 24
    last = f"/admin/billing-changes/?revenue_at={month_text(LAST_MONTH)}&currency=eur"
    assert last in bars
    listed = soup(client, last)
    amounts = [row.select("td")[6].get_text() for row in listed.select("table.sheet tbody tr")]
    assert sorted(amounts) == sorted(f"{cents / 100:.2f} EUR" for cents in (900, 901, 902, 903, 904, 800, 700))
    assert "60.10 EUR" in page.get_text()
    drawn = {str(link["href"]) for link in page.select("svg.bars a[href*=status_at]")}
    assert drawn <= {str(link["href"]) for link in page.select(".chart-table a")}


def test_the_page_asks_few_times_and_whoever_reads_may(business: None, client_for: ClientFor, db: Database) -> None:
    client = client_for(Role.AUDITOR)
    with counted_queries(db) as statements:
        client.get("/admin/finance/")
    assert len(statements) <= 10, statements
    with counted_queries(db) as statements:
        client.get("/admin/months/")
    assert len(statements) <= 5, statements


def test_an_empty_business_has_a_calm_page(app: Flask, client_for: ClientFor) -> None:
    text = client_for(Role.FINANCE).get("/admin/finance/").text
    for sentence in (
        "Nobody&#39;s payment is due.",
        "Nobody asked to cancel.",
        "No dispute waits",
        "Nothing to show yet.",
    ):
        assert sentence.replace("&#39;", "'") in text.replace("&#39;", "'")
    assert client_for(Role.FINANCE).get("/admin/months/").status_code == 200


def close(client: CheckedClient, month: date, **data: str) -> Any:
    address = f"/admin/months/{month_text(month)}/close"
    page = soup(client, address)
    form = {str(field["name"]): str(field["value"]) for field in page.select("main form input[type=hidden]")}
    return client.post(address, data={**form, **data})


def test_a_month_is_closed_taken_away_and_adjusted(business: None, client_for: ClientFor, db: Database) -> None:
    client, address = client_for(Role.FINANCE), f"/admin/months/{month_text(LAST_MONTH)}"
    before = soup(client, address)
    for link in before.select("table.ledger a"):
        assert rows_of(client, str(link["href"])) == counted(link)
    assert "Still moving" in before.get_text()
    assert "19,000" not in before.get_text()
    assert close(client, LAST_MONTH, reason="Agreed").status_code == 303
    assert close_again(client, LAST_MONTH) == 409
    for link in soup(client, address).select("table.ledger a"):
        assert rows_of(client, str(link["href"])) == counted(link)

    first = exported(client, address, "csv"), exported(client, address, "xlsx")
    with db.unit_of_work(SETUP) as ctx:
        ctx.session.query(Payment).filter_by(captured_amount=10_000).one().captured_amount = 10_500
    assert (exported(client, address, "csv"), exported(client, address, "xlsx")) == first
    assert first[0].startswith(b"\xef\xbb\xbfLine,Kind,At (UTC)")

    text = re.sub(r"\s+", " ", soup(client, address).get_text(" "))
    assert "changed 100.00 EUR 105.00 EUR 5.00 EUR" in text
    assert "finance@example.com closed" in text
    months = soup(client, "/admin/months/")
    assert months.select_one(f'a[href="{address}#adjustments"]').get_text().startswith("1")  # type: ignore[union-attr]


def close_again(client: CheckedClient, month: date) -> int:
    address = f"/admin/months/{month_text(month)}/close"
    assert "is closed already" in client.get(address).text
    return int(client.post(address, data={"csrf_token": form_token(client, "/admin/my-account/")}).status_code)


def exported(client: CheckedClient, address: str, file_format: str) -> bytes:
    data = {"csrf_token": form_token(client, address), "format": file_format}
    response = client.post(f"{address}/export", data=data)
    assert response.status_code == 200
    assert f"backdesk-month-{address[-7:]}.{file_format}" in response.headers["Content-Disposition"]
    return bytes(response.data)


def test_a_plan_that_moved_closes_nothing_and_an_unknown_month_is_a_sentence(
    business: None, client_for: ClientFor, db: Database
) -> None:
    client, address = client_for(Role.FINANCE), f"/admin/months/{month_text(LAST_MONTH)}"
    page = soup(client, f"{address}/close")
    form = {str(field["name"]): str(field["value"]) for field in page.select("main form input[type=hidden]")}
    with db.unit_of_work(SETUP) as ctx:
        add_paid(ctx, 1, begins(LAST_MONTH) + DAY)
    answer = client.post(f"{address}/close", data={**form, "reason": "Kept"})
    assert answer.status_code == 409
    assert "Kept" in answer.text
    token = form["csrf_token"]
    assert client.post(f"{address}/export", data={"csrf_token": token, "format": "csv"}).status_code == 404
    assert client.get(f"/admin/months/{month_text(following(month_of(NOW)))}").status_code == 404
    assert client.get("/admin/months/2026-99").status_code == 404
    assert client.get("/admin/months/?last=nonsense").status_code == 200
    assert "is not over" in client.get(f"/admin/months/{month_text(month_of(NOW))}/close").text
