"""Clients, the gate and onboarding as the business's own programs call them, and the keys that let them."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from admin_app.context import Staff
from admin_app.services.staff import service_keys
from models import (
    AuditEntry,
    BillingStatus,
    Client,
    FlagChange,
    FlagName,
    OnboardingState,
    OnExpiry,
    Role,
    Scope,
    ServiceKey,
)  # fmt: skip
from tests.console.conftest import counted_queries
from tests.house import House, build
from tests.services.factories import OPERATOR

ADMIN = Staff(id=1, email="admin@demo.test", role=Role.ADMIN)
CALLS: dict[str, tuple[str, str, Scope]] = {
    "client": ("GET", "", Scope.CLIENTS_READ),
    "gate": ("GET", "/gate?action=outbound", Scope.GATE_ASK),
    "onboarding": ("PATCH", "/onboarding", Scope.ONBOARDING_REPORT),
}
STEPS = ("forwarding_enabled", "test_call_detected")


@pytest.fixture
def client_id(house: House) -> int:
    with house.db.unit_of_work(OPERATOR) as ctx:
        client = Client(
            name="Fjord Dental", email="office@fjord.example", billing_status=BillingStatus.ACTIVE, payment_active=True
        )
        ctx.session.add(client)
        ctx.session.flush()
        return client.id


def make_key(house: House, *scopes: Scope, name: str = "phone agent", expires_in: timedelta | None = None) -> str:
    with house.db.unit_of_work(ADMIN) as ctx:
        expires_at = ctx.now + expires_in if expires_in else None
        _, key = service_keys.create(ctx, name=name, scopes=scopes, expires_at=expires_at, reason="asked for")
        return key


def call(house: House, client_id: int, name: str, key: str | None, **options: Any) -> TestResponse:
    method, path, _ = CALLS[name]
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    if method == "PATCH":
        options.setdefault("json", {})
    return house.app.test_client().open(
        f"/api/clients/{client_id}{path}", method=method, headers=options.pop("headers", headers), **options
    )


# -- keys -----------------------------------------------------------------------------------------------------------


def test_each_scope_opens_its_own_door_and_no_other(house: House, client_id: int) -> None:
    keys = {scope: make_key(house, scope, name=scope.value) for scope in Scope}
    for scope, (name, (_, _, wanted)) in product(Scope, CALLS.items()):
        answer = call(house, client_id, name, keys[scope])
        assert answer.headers["Cache-Control"] == "no-store"
        if wanted is scope:
            assert answer.status_code == 200, name
        else:
            assert (answer.status_code, answer.json["code"]) == (403, "scope_missing"), name
            assert wanted.value in answer.json["detail"]


def test_a_key_with_every_scope_and_that_of_the_settings_open_all(house: House, client_id: int) -> None:
    key = make_key(house, *Scope)
    with_setting = build(house.simulator, house.db, service_api_key="from-the-settings")
    for name in CALLS:
        assert call(house, client_id, name, key).status_code == 200
        assert call(house, client_id, name, None, headers={"X-API-Key": key}).status_code == 200
        assert call(with_setting, client_id, name, "from-the-settings").status_code == 200
        assert call(house, client_id, name, "from-the-settings").status_code == 401


NO_KEY_THAT_COUNTS: list[tuple[dict[str, str], str]] = [
    ({}, "service_key_missing"),
    ({"Authorization": "Bearer "}, "service_key_missing"),
    ({"Authorization": "Basic abc"}, "service_key_missing"),
    ({"X-API-Key": ""}, "service_key_missing"),
    ({"Authorization": "Bearer bdk_nobodys"}, "service_key_unknown"),
    ({"X-API-Key": "bdk_nobodys"}, "service_key_unknown"),
    ({"X-API-Key": "\xe4\xff"}, "service_key_unknown"),
    ({"X-API-Key": "x" * 5000}, "service_key_unknown"),
]


def test_without_a_key_that_counts_nothing_is_told(house: House, client_id: int) -> None:
    for (headers, code), name, number in product(NO_KEY_THAT_COUNTS, CALLS, (client_id, 999_999_999)):
        answer = call(house, number, name, None, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (401, code), (headers, name)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.content_type == "application/problem+json"


def test_a_revoked_key_is_refused_by_the_very_next_request(house: House, client_id: int) -> None:
    key = make_key(house, *Scope)
    assert call(house, client_id, "gate", key).status_code == 200
    with house.db.unit_of_work(ADMIN) as ctx:
        (key_id,) = ctx.session.scalars(select(ServiceKey.id))
        shown = service_keys.plan_revoke(ctx, service_key_id=key_id).fingerprint
        service_keys.revoke(ctx, service_key_id=key_id, reason="leaked", shown=shown)
    answer = call(house, client_id, "gate", key)
    assert (answer.status_code, answer.json["code"]) == (401, "service_key_revoked")


def test_an_expired_key_is_refused(house: House, client_id: int) -> None:
    key = make_key(house, *Scope, expires_in=timedelta(days=1))
    assert call(house, client_id, "client", key).status_code == 200
    past = datetime.now(UTC) - timedelta(seconds=1)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(ServiceKey).values(expires_at=past))
    answer = call(house, client_id, "client", key)
    assert (answer.status_code, answer.json["code"]) == (401, "service_key_expired")


def test_the_last_use_is_noted_after_the_answer_and_once_a_minute(house: House, client_id: int) -> None:
    key = make_key(house, Scope.GATE_ASK)
    with counted_queries(house.db) as statements:
        answer = call(house, client_id, "gate", key)
        # The key and the facts, and nothing else before the answer.
        assert answer.status_code == 200
        assert len(statements) == 2, statements
        answer.close()
    assert statements[2].startswith("UPDATE service_keys")
    (noted,) = house.rows(select(ServiceKey.last_used_at))
    with counted_queries(house.db) as statements:
        call(house, client_id, "gate", key).close()
    assert len(statements) == 2
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(ServiceKey).values(last_used_at=noted - timedelta(minutes=1)))
    call(house, client_id, "gate", key).close()
    assert house.rows(select(ServiceKey.last_used_at)) > [noted - timedelta(seconds=59)]


def test_nothing_of_a_key_is_kept_but_its_digest_and_its_beginning(house: House) -> None:
    key = make_key(house, *Scope)
    (row,) = house.rows(select(ServiceKey))
    assert key.startswith("bdk_")
    assert len(key) >= 47
    kept = " ".join(str(getattr(row, column.key)) for column in ServiceKey.__table__.columns)
    told = " ".join(f"{entry.facts} {entry.changes} {entry.reason}" for entry in house.rows(select(AuditEntry)))
    assert key not in kept + told
    assert key.removeprefix(row.hint) not in kept + told
    assert len(row.hint) == 10


# -- the client and the gate ----------------------------------------------------------------------------------------


def test_a_client_is_shown_in_the_promised_shape(house: House, client_id: int) -> None:
    answer = call(house, client_id, "client", make_key(house, *Scope))
    assert answer.json == {
        "id": client_id,
        "name": "Fjord Dental",
        "email": "office@fjord.example",
        "phone": None,
        "onboarding_complete": False,
        "outbound_paused": False,
        "ai_disabled": False,
        "billing_status": "active",
        "payment_active": True,
        "trial_used_at": None,
        "pending_cancellation": False,
        "cancellation_requested_at": None,
        "onboarding": {"forwarding_enabled": False, "test_call_detected": False},
    }


def test_switches_are_shown_by_the_clock_and_not_as_a_job_left_them(house: House, client_id: int) -> None:
    now = datetime.now(UTC)
    with house.db.unit_of_work(OPERATOR) as ctx:
        common = {"client_id": client_id, "reason": "why", "by": "ops@x.test", "since": now - timedelta(days=1)}
        ctx.session.execute(update(Client).values(outbound_paused=True, ai_disabled=False))
        ctx.session.add(FlagChange(flag=FlagName.OUTBOUND_PAUSED, until=now - timedelta(hours=1), **common))
        ctx.session.add(FlagChange(flag=FlagName.AI_DISABLED, until=now + timedelta(hours=1), **common))
    shown = call(house, client_id, "client", make_key(house, *Scope)).json
    assert (shown["outbound_paused"], shown["ai_disabled"]) == (False, True)


def test_the_gate_answers_in_the_promised_shape(house: House, client_id: int) -> None:
    key = make_key(house, *Scope)
    until = datetime(2099, 1, 2, 3, 4, tzinfo=UTC)
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(Client).values(billing_status=BillingStatus.PAST_DUE))
        ctx.session.add(
            FlagChange(
                client_id=client_id, flag=FlagName.OUTBOUND_PAUSED, reason="Holiday", by="ops@x.test", until=until,
                since=datetime.now(UTC), on_expiry=OnExpiry.LIFT,
            )
        )  # fmt: skip
    assert call(house, client_id, "gate", key).json == {
        "allowed": False,
        "action": "outbound",
        "blocks": [
            {
                "code": "outbound_paused",
                "message": "Outbound calls are paused until 02 Jan 2099 03:04 UTC: Holiday.",
                "until": "2099-01-02T03:04:00Z",
            },
            {"code": "past_due", "message": "A payment is past due.", "until": None},
            {"code": "onboarding_incomplete", "message": "Onboarding is not complete.", "until": None},
        ],
    }
    with house.db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(Client).values(billing_status=BillingStatus.ACTIVE, onboarding_complete=True))
    ai = house.get(f"/api/clients/{client_id}/gate?action=ai", headers={"X-API-Key": key})
    assert ai.json == {"allowed": True, "action": "ai", "blocks": []}


def test_another_action_is_refused(house: House, client_id: int) -> None:
    key = make_key(house, *Scope)
    for query in ("", "?action=", "?action=sms", "?action=OUTBOUND", "?action=ai&action=outbound"):
        answer = house.get(f"/api/clients/{client_id}/gate{query}", headers={"X-API-Key": key})
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
        assert "action" in answer.json["errors"]


def test_a_client_that_is_not_there(house: House) -> None:
    key = make_key(house, *Scope)
    for name in CALLS:
        answer = call(house, 999_999_999, name, key)
        assert (answer.status_code, answer.json["code"]) == (404, "client_not_found")


# -- onboarding -----------------------------------------------------------------------------------------------------


def _state(house: House) -> OnboardingState | None:
    found = house.rows(select(OnboardingState))
    return found[0] if found else None


def test_a_report_changes_what_it_says_and_nothing_else(house: House, client_id: int) -> None:
    key = make_key(house, *Scope)
    for body in ({}, {"forwarding_enabled": None}, {"complete": False}, {"complete": None, "other": 1}):
        assert call(house, client_id, "onboarding", key, json=body).status_code == 200
        assert _state(house) is None
    shown = call(house, client_id, "onboarding", key, json={"forwarding_enabled": True}).json
    assert shown["onboarding"] == {"forwarding_enabled": True, "test_call_detected": False}
    first = _state(house)
    assert first is not None
    assert (first.current_step, first.test_call_detected_at) == ("test_call", None)
    call(house, client_id, "onboarding", key, json={"forwarding_enabled": True, "test_call_detected": True})
    second = _state(house)
    assert second is not None
    assert second.forwarding_enabled_at == first.forwarding_enabled_at is not None
    assert (second.current_step, second.completed_at) == ("finish", None)
    (entry,) = house.rows(select(AuditEntry).where(AuditEntry.event == "onboarding.reported").limit(1))
    assert (entry.actor_kind, entry.actor_label) == ("service", "phone agent")


def test_completing_is_refused_until_both_steps_hold(house: House) -> None:
    key = make_key(house, *Scope)
    said_before = product((False, True), repeat=2)
    said_with_it = product((None, False, True), repeat=2)
    for held, said in product(said_before, list(said_with_it)):
        with house.db.unit_of_work(OPERATOR) as ctx:
            ctx.session.add(client := Client(name="Fjord Dental"))
            ctx.session.flush()
        call(house, client.id, "onboarding", key, json=dict(zip(STEPS, held, strict=True)))
        body = dict(zip(STEPS, said, strict=True)) | {"complete": True}
        after = [before if told is None else told for before, told in zip(held, said, strict=True)]
        answer = call(house, client.id, "onboarding", key, json=body)
        (state,) = house.rows(select(OnboardingState).where(OnboardingState.client_id == client.id))
        (complete,) = house.rows(select(Client.onboarding_complete).where(Client.id == client.id))
        assert complete is all(after) is (state.completed_at is not None) is (state.current_step == "done")
        if all(after):
            assert (answer.status_code, answer.json["onboarding_complete"]) == (200, True)
            continue
        assert (answer.status_code, answer.json["code"]) == (409, "onboarding_incomplete")
        assert ("forwarding" in answer.json["detail"]) is not after[0]
        assert ("test call" in answer.json["detail"]) is not after[1]
        assert (state.forwarding_enabled, state.test_call_detected) == held


def test_forwarding_that_goes_off_later_does_not_take_the_completion_back(house: House, client_id: int) -> None:
    key = make_key(house, *Scope)
    call(house, client_id, "onboarding", key, json={**dict.fromkeys(STEPS, True), "complete": True})
    shown = call(house, client_id, "onboarding", key, json={"forwarding_enabled": False}).json
    assert shown["onboarding_complete"] is True
    assert shown["onboarding"]["forwarding_enabled"] is False
    assert call(house, client_id, "gate", key).json["allowed"] is True


def test_what_is_not_true_or_false_is_refused(house: House, client_id: int) -> None:
    key = make_key(house, *Scope)
    for wrong in ("yes", 1, 0, [], {}):
        answer = call(house, client_id, "onboarding", key, json={"forwarding_enabled": wrong})
        assert (answer.status_code, list(answer.json["errors"])) == (422, ["forwarding_enabled"])
    assert _state(house) is None
