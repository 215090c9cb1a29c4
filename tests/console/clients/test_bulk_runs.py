"""Switching many clients in the console: choosing them, the plan, how far it is, and the way back."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import select

from admin_app.db import Database
from models import BillingStatus, BulkRun, BulkState, FlagName, Role
from tests.console.page_checks import CheckedClient
from tests.services.clients import bulk
from tests.services.clients.flags import state_of

ClientFor = Callable[[Role], CheckedClient]
NEW = "/admin/bulk-runs/choose/pause-outbound"
TODAY = {"starts": "now", "ends": "back", "on_expiry": "lift", "tell_email": "", "tell_before": "60"}


@pytest.fixture
def ops(client_for: ClientFor) -> CheckedClient:
    return client_for(Role.OPS)


def send(client: CheckedClient, address: str, **typed: str) -> Any:
    """Open the page of a command and send its form with what it carries."""
    page = BeautifulSoup(client.get(address).text, "html5lib")
    form = page.find("main").find("form", method="post")
    carried = {field["name"]: field.get("value", "") for field in form.find_all("input", type="hidden")}
    return client.post(form["action"], data=carried | typed)


def runs(db: Database) -> list[BulkRun]:
    with db.read_only() as session:
        return list(session.scalars(select(BulkRun).order_by(BulkRun.id)))


def test_from_the_list_to_the_undo(db: Database, ops: CheckedClient) -> None:
    clients = bulk.add_clients(db, 3, billing_status=BillingStatus.ACTIVE)
    gone = bulk.add_clients(db, 1, billing_status=BillingStatus.CANCELED)
    listed = BeautifulSoup(ops.get("/admin/clients/").text, "html5lib")
    boxes = [box["value"] for box in listed.find_all("input", attrs={"name": "pick"})]
    assert sorted(map(int, boxes)) == sorted(clients + gone)
    picks = "&".join(f"pick={box}" for box in boxes)
    chosen = send(ops, f"{NEW}?{picks}&of=chosen", reason="Line is moved", **TODAY)
    assert chosen.status_code == 303
    (run,) = runs(db)
    plan = ops.get(chosen.location).text
    assert chosen.location == f"/admin/bulk-runs/{run.id}/start"
    for said in ("3 clients will change.", "1 client is left out", "Canceled: nothing is done", "4 clients chosen"):
        assert said in plan
    assert send(ops, chosen.location).location == f"/admin/bulk-runs/{run.id}"
    page = ops.get(f"/admin/bulk-runs/{run.id}").text
    assert "data-follow" in page
    assert "1 of 4 clients are through" in page
    bulk.work(db, run.id)
    page = ops.get(f"/admin/bulk-runs/{run.id}").text
    assert "data-follow" not in page
    assert "3 changed" in page
    rows = ops.get(f"/admin/bulk-items/?run={run.id}&outcome=changed").text
    assert rows.count("/admin/clients/") >= 3
    undone = send(ops, f"/admin/bulk-runs/{run.id}/undo", reason="Wrong ones")
    assert send(ops, undone.location).status_code == 303
    bulk.work(db, runs(db)[-1].id)
    assert not any(state_of(db, client).is_on for client in clients)
    assert "There is an undo of this run already" in ops.get(f"/admin/bulk-runs/{run.id}/undo").text
    again = {"csrf_token": token(ops), "reason": "Once more", "fingerprint": "x"}
    assert ops.post(f"/admin/bulk-runs/{run.id}/undo", data=again).status_code == 409
    assert ops.post(f"/admin/bulk-runs/{run.id}/start", data=again).status_code == 409
    assert f"Undo of run {run.id}" in ops.get(f"/admin/audit-entries/?record=bulk_run:{runs(db)[-1].id}").text


def test_everything_that_a_filter_finds_on_all_its_pages(db: Database, ops: CheckedClient) -> None:
    bulk.add_clients(db, 60, billing_status=BillingStatus.ACTIVE)
    bulk.add_clients(db, 5, billing_status=BillingStatus.TRIAL)
    page = ops.get("/admin/clients/?billing=active&q=Client").text
    assert "all 60 that match" in page
    assert 'type="hidden" name="billing" value="active"' in page
    send(ops, f"{NEW}?billing=active&q=Client&of=matching", reason="Holiday", **TODAY)
    (run,) = runs(db)
    assert (run.size, run.flag, run.turns_on) == (60, FlagName.OUTBOUND_PAUSED, True)
    assert run.chosen_by == "every client with search “Client”, Billing: active"


@pytest.mark.parametrize(
    "asked", ["", "?of=chosen", "?pick=x&of=chosen", "?billing=unheard_of&of=matching", "?q=nobody+here&of=matching"]
)
def test_nothing_is_chosen_rather_than_more_than_was_meant(db: Database, ops: CheckedClient, asked: str) -> None:
    bulk.add_clients(db, 2)
    assert ops.get(f"{NEW}{asked}").status_code == 422
    carried = {"choice": asked.lstrip("?"), "csrf_token": token(ops), "reason": "x", **TODAY}
    assert ops.post(NEW, data=carried).status_code == 422
    assert runs(db) == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"reason": ""}, "Write a reason"),
        ({"ends": ""}, "Say until when"),
        ({"ends": "at", "until": "yesterday"}, "Write day and time"),
        ({"ends": "at", "until": "2099-03-29T02:30"}, "skip this time"),
        ({"ends": "at", "until": "2020-01-01T10:00"}, "past already"),
    ],
)
def test_what_cannot_be_meant_keeps_the_choice_and_says_so(
    db: Database, ops: CheckedClient, typed: dict[str, str], said: str
) -> None:
    (client,) = bulk.add_clients(db, 1)
    answer = send(ops, f"{NEW}?pick={client}&of=chosen", **({"reason": "Holiday"} | TODAY | typed))
    assert answer.status_code == 422
    assert said in answer.text
    assert quote(f"pick={client}", safe="") in answer.text or f"pick={client}" in answer.text
    assert runs(db) == []


def test_discarding_and_stopping(db: Database, ops: CheckedClient) -> None:
    bulk.add_clients(db, 2)
    for _ in range(2):
        send(ops, "/admin/bulk-runs/choose/disable-ai?of=matching", reason="Test", **TODAY)
    first, second = runs(db)
    assert send(ops, f"/admin/bulk-runs/{first.id}/discard").location == "/admin/bulk-runs/"
    assert [run.id for run in runs(db)] == [second.id]
    send(ops, f"/admin/bulk-runs/{second.id}/start")
    assert send(ops, f"/admin/bulk-runs/{second.id}/stop").status_code == 303
    bulk.work(db, second.id)
    assert runs(db)[0].state is BulkState.STOPPED
    assert "Go on" in ops.get(f"/admin/bulk-runs/{second.id}").text


def test_who_may_not_switch_sees_no_boxes(db: Database, client_for: ClientFor) -> None:
    bulk.add_clients(db, 1)
    page = client_for(Role.SUPPORT).get("/admin/clients/").text
    assert 'name="pick"' not in page
    assert "Pause outbound" not in page


def token(client: CheckedClient) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/admin/my-account/").text)
    assert found
    return found[1]
