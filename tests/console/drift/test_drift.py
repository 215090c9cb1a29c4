"""The pages of comparisons and differences: what is shown, and what is decided from there."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from admin_app.db import Database
from models import DriftFinding, DriftRun, DriftState, Role
from tests.console.conftest import SETUP
from tests.console.forms import form_on
from tests.console.page_checks import CheckedClient

ClientFor = Callable[[Role], CheckedClient]


@pytest.fixture
def finding(db: Database) -> DriftFinding:
    """Open for two days: a time that Cal.com says otherwise."""
    with db.unit_of_work(SETUP) as ctx:
        run = DriftRun(provider="calcom", by="queue_comparisons", started_at=ctx.now, heartbeat_at=ctx.now)
        ctx.session.add(run)
        ctx.session.flush()
        made = DriftFinding(
            run_id=run.id,
            provider="calcom",
            external_id="uid_1",
            subject="booking:1",
            field="starts_at",
            ours="2027-01-12T09:00:00+00:00",
            theirs="2027-01-12T10:00:00+00:00",
            found_at=ctx.now - timedelta(days=2),
        )
        ctx.session.add(made)
        ctx.session.flush()
        return made


def now(db: Database) -> DriftFinding:
    with db.read_only() as session:
        return session.scalars(select(DriftFinding).execution_options(populate_existing=True)).one()


def post(client: CheckedClient, page: str, **typed: str) -> Any:
    asked = {"email": typed["email"]} if "email" in typed else {}
    return client.post(page, data=form_on(client, page, **asked) | typed)


def test_a_difference_is_seen_from_the_first_page_on_and_decided(
    db: Database, finding: DriftFinding, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    home = client.get("/admin/").text
    assert "difference with a provider" in home
    assert "the oldest for 2 days" in home
    listed = client.get("/admin/drift-findings/?state=open").text
    assert "Cal.com" in listed
    assert "12 Jan 2027 10:00" in listed  # in Amsterdam
    address = f"/admin/drift-findings/{finding.id}"
    page = client.get(address).text
    for word in ("adopt", "push", "ignore", "assign"):
        assert f'href="{address}/{word}"' in page
    assert post(client, f"{address}/assign", email="finance@example.com", reason="mine").status_code == 303
    assert "finance@example.com" in client.get(address).text
    assert post(client, f"{address}/adopt", reason="").status_code == 422
    plan = client.get(f"{address}/adopt").text
    assert "12 Jan 2027 11:00" in plan
    assert "A client who booked here is told of the other time." in plan
    assert post(client, f"{address}/adopt", reason="Cal.com is right").status_code == 303
    decided = now(db)
    assert (decided.state, decided.wanted, decided.reason) == (DriftState.OPEN, "adopt", "Cal.com is right")
    page = client.get(address).text
    assert "theirs is being taken over" in page
    assert f'href="{address}/adopt"' not in page


def test_who_only_looks_is_offered_nothing(finding: DriftFinding, client_for: ClientFor) -> None:
    client = client_for(Role.AUDITOR)
    assert "/adopt" not in client.get(f"/admin/drift-findings/{finding.id}").text
    assert client.get(f"/admin/drift-findings/{finding.id}/adopt").status_code == 403
    assert "/admin/drift-runs/start" not in client.get("/admin/drift-runs/").text


def test_a_comparison_is_started_and_followed(
    app: Flask, db: Database, finding: DriftFinding, client_for: ClientFor
) -> None:
    client = client_for(Role.OPS)
    page = client.get(f"/admin/drift-runs/{finding.run_id}").text
    assert "data-follow" in page
    assert "At work" in page
    assert "/admin/drift-runs/start" in client.get("/admin/drift-runs/").text
    backdesk = app.extensions["backdesk"]
    app.extensions["backdesk"] = replace(backdesk, providers=replace(backdesk.providers, whop=object()))
    started = post(client, "/admin/drift-runs/start", provider="whop")
    assert started.status_code == 303
    again = post(client, "/admin/drift-runs/start", provider="whop")
    assert again.status_code == 409
    assert "A comparison with this provider is running" in again.text
    with db.read_only() as session:
        (run,) = session.scalars(select(DriftRun).where(DriftRun.provider == "whop"))
        assert (run.by, run.finished_at) == ("ops@example.com", None)
    assert "Waiting for a worker" in client.get(f"/admin/drift-runs/{run.id}").text
