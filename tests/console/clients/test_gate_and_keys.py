"""The gate beside the flags, onboarding decided by hand, and service keys made in the console."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.services.clients import gate, onboarding
from models import (
    AuditEntry,
    BillingOverride,
    BillingStatus,
    Client,
    FlagChange,
    FlagName,
    OnboardingState,
    Role,
    Scope,
    ServiceKey,
)  # fmt: skip
from tests.console.conftest import SETUP, form_token
from tests.console.forms import form_on
from tests.console.page_checks import CheckedClient

ClientFor = Callable[[Role], CheckedClient]
KEY = "the key of the settings"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def settings() -> Settings:
    return Settings(
        _env_file=None, database_url="postgresql://unused", secret_key="s" * 32, service_api_key=KEY
    )  # fmt: skip


def add(db: Database, **values: Any) -> int:
    with db.unit_of_work(SETUP) as ctx:
        client = Client(name="Fjord Dental", **values)
        ctx.session.add(client)
        ctx.session.flush()
        return client.id


def put(db: Database, *rows: Any) -> None:
    with db.unit_of_work(SETUP) as ctx:
        ctx.session.add_all(rows)


def one(db: Database, query: Any) -> Any:
    with db.read_only() as session:
        return session.scalars(query).one()


def _of(client_id: int, **values: Any) -> list[Any]:
    """A pause, an override and a half-done onboarding."""
    return [
        FlagChange(client_id=client_id, flag=FlagName.OUTBOUND_PAUSED, reason="They are on holiday",
                   by="ops@example.com", since=YESTERDAY, until=TOMORROW),
        BillingOverride(client_id=client_id, status=BillingStatus.PAST_DUE, reason="The transfer bounced",
                        by="finance@example.com", since=YESTERDAY, until=TOMORROW),
        OnboardingState(client_id=client_id, forwarding_enabled=True, forwarding_enabled_at=YESTERDAY),
    ]  # fmt: skip


def test_the_console_and_the_endpoint_say_the_same(app: Flask, db: Database, client_for: ClientFor) -> None:
    client_id = add(db)
    put(db, *_of(client_id))
    page = client_for(Role.OPS).get(f"/admin/clients/{client_id}").text
    panel = page[page.index('id="gate-title"') : page.index('id="flags-title"')]
    halves = panel.split("<h3>")[1:]
    for action, half in zip(gate.ACTIONS, halves, strict=True):
        answer = app.test_client().get(f"/api/clients/{client_id}/gate?action={action}", headers={"X-API-Key": KEY})
        assert re.findall(r"<code>(\w+)</code>", half) == [block["code"] for block in answer.json["blocks"]] != []
    # The console says by whom and why; outside callers are not told what finance wrote.
    for told in ("They are on holiday", "ops@example.com", "The transfer bounced", "finance@example.com"):
        assert told in panel
        assert (told in answer.text) is False
    assert f"/admin/clients/{client_id}/switches/outbound_paused/off" in panel
    assert f"/admin/clients/{client_id}/onboarding/complete" in panel


def test_who_may_not_change_it_gets_no_link(db: Database, client_for: ClientFor) -> None:
    client_id = add(db)
    put(db, *_of(client_id))
    page = client_for(Role.AUDITOR).get(f"/admin/clients/{client_id}").text
    panel = page[page.index('id="gate-title"') : page.index('id="flags-title"')]
    assert "Turn outbound calls on" in panel
    assert "href" not in panel


# -- onboarding by hand ---------------------------------------------------------------------------------------------


def test_onboarding_is_completed_by_hand_with_a_reason_and_reopened(db: Database, client_for: ClientFor) -> None:
    client_id = add(db, billing_status=BillingStatus.ACTIVE, payment_active=True)
    ops = client_for(Role.OPS)
    page = f"/admin/clients/{client_id}/onboarding/complete"
    assert "forwarding is not enabled and no test call was detected" in ops.get(page).text
    without_reason = ops.post(page, data=form_on(ops, page) | {"reason": " "})
    assert without_reason.status_code == 422
    assert one(db, select(Client.onboarding_complete)) is False
    done = ops.post(page, data=form_on(ops, page) | {"reason": "Tested on the phone with them"})
    assert done.status_code == 303
    state = one(db, select(OnboardingState))
    assert (state.overridden_by, state.overridden_because) == ("ops@example.com", "Tested on the phone with them")
    shown = ops.get(f"/admin/clients/{client_id}").text
    assert "Nothing speaks against it." in shown
    assert "Tested on the phone with them" in shown
    assert "It stays complete, although" in shown
    again = ops.get(page).text
    assert "complete already" in again
    back = f"/admin/clients/{client_id}/onboarding/reopen"
    assert ops.post(back, data=form_on(ops, back) | {"reason": "It does not forward"}).status_code == 303
    state = one(db, select(OnboardingState))
    assert (state.overridden_by, state.completed_at, state.current_step) == (None, None, "start")
    assert one(db, select(Client.onboarding_complete)) is False
    with db.read_only() as session:
        events = list(session.scalars(select(AuditEntry.event).where(AuditEntry.event.like("onboarding.%"))))
    assert events == ["onboarding.completed_by_hand", "onboarding.reopened"]


def test_a_stale_screen_completes_nothing(db: Database, client_for: ClientFor) -> None:
    client_id = add(db)
    ops = client_for(Role.OPS)
    page = f"/admin/clients/{client_id}/onboarding/complete"
    seen = form_on(ops, page)
    with db.unit_of_work(SETUP) as ctx:
        onboarding.report(ctx, client_id=client_id, forwarding_enabled=True)
    answer = ops.post(page, data=seen | {"reason": "Looks fine"})
    assert answer.status_code == 409
    assert "It is completed although no test call was detected." in answer.text
    assert one(db, select(Client.onboarding_complete)) is False


# -- keys -----------------------------------------------------------------------------------------------------------


def make(client: CheckedClient, **typed: Any) -> Any:
    given = {"name": "Phone agent", "scopes": ["gate:ask"], "expires_at": "", "reason": "asked for"} | typed
    return client.post("/admin/service-keys/new", data=given | {"csrf_token": form_token(client, "/admin/my-account/")})


def test_a_key_is_shown_once_works_and_is_revoked(app: Flask, db: Database, client_for: ClientFor) -> None:
    admin, client_id = client_for(Role.ADMIN), add(db)
    made = make(admin)
    assert made.status_code == 200
    key = re.search(r"<code>(bdk_[\w-]+)</code>", made.text)[1]  # type: ignore[index]
    assert "no-store" in made.headers["Cache-Control"]
    assert key not in str(made.headers)
    row = one(db, select(ServiceKey))
    for address in ("/admin/service-keys/", f"/admin/service-keys/{row.id}", "/admin/audit-entries/"):
        assert key not in admin.get(address).text

    def asked() -> Any:
        return app.test_client().get(f"/api/clients/{client_id}/gate?action=ai", headers={"X-API-Key": key})

    assert asked().status_code == 200
    page = f"/admin/service-keys/{row.id}/revoke"
    assert admin.post(page, data=form_on(admin, page) | {"reason": "It leaked"}).status_code == 303
    assert asked().json["code"] == "service_key_revoked"
    assert "revoked already" in admin.get(page).text


def test_what_is_not_right_makes_no_key(db: Database, client_for: ClientFor) -> None:
    admin = client_for(Role.ADMIN)
    assert make(admin, name="Taken").status_code == 200
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": " "}, "Name the program"),
        ({"name": "x" * 81}, "Name the program"),
        ({"name": " Taken "}, "There is a key of this name"),
        ({"scopes": []}, "Choose at least one"),
        ({"scopes": ["everything"]}, "Choose at least one"),
        ({"expires_at": "2020-01-01T00:00"}, "still to come"),
        ({"expires_at": "tomorrow"}, "Write day and time"),
        ({"reason": ""}, "Write a reason"),
    ]
    for typed, sentence in wrong:
        answer = make(admin, **typed)
        assert answer.status_code == 422, typed
        assert sentence in answer.text, typed
        assert "bdk_" not in answer.text
    assert one(db, select(ServiceKey.name)) == "Taken"


def test_the_end_of_a_key_is_typed_by_the_viewers_clock(db: Database, client_for: ClientFor) -> None:
    make(client_for(Role.ADMIN), expires_at="2099-07-01T12:00", scopes=[scope.value for scope in Scope])
    row = one(db, select(ServiceKey))
    assert row.expires_at == datetime(2099, 7, 1, 10, tzinfo=UTC)  # Amsterdam
    assert row.scopes == sorted(Scope)


def test_an_end_that_the_clocks_show_twice_is_asked_for_and_one_that_they_skip_is_refused(
    db: Database, client_for: ClientFor
) -> None:
    admin = client_for(Role.ADMIN)
    asked = make(admin, expires_at="2099-10-25T02:30")
    assert asked.status_code == 422
    assert 'name="expires_at_which"' in asked.text
    assert "show this time twice" in asked.text
    skipped = make(admin, expires_at="2099-03-29T02:30")
    assert skipped.status_code == 422
    assert "the clocks of Europe/Amsterdam skip this time" in skipped.text
    assert make(admin, expires_at="2099-10-25T02:30", expires_at_which="second").status_code == 200
    assert one(db, select(ServiceKey.expires_at)) == datetime(2099, 10, 25, 1, 30, tzinfo=UTC)
