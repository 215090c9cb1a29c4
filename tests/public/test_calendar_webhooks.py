"""Deliveries of Calendly and Cal.com: proved, stored once, read; everything else is refused without a trace."""

import json
from datetime import UTC, datetime
from pathlib import Path
from time import time

import pytest
from sqlalchemy import select

from admin_app.db import Database
from models import EventState, WebhookEvent
from tests.house import House, build
from tests.integrations.signing import calcom_headers, calendly_headers, events, shared_events
from tests.public.test_webhooks import name

CALENDLY = events("calendly") + shared_events("calendly")
CALCOM = events("calcom") + shared_events("calcom")
EVERY = CALENDLY + CALCOM
SETTLED = {EventState.PROCESSED, EventState.IGNORED, EventState.PARKED, EventState.SUPERSEDED}


def provider(path: Path) -> str:
    return path.parent.name


def deliver(house: House, path: Path, raw: bytes | None = None, **signed):
    content = path.read_bytes() if raw is None else raw
    return getattr(house, provider(path))(content, **signed)


@pytest.mark.parametrize("path", EVERY, ids=name)
def test_once_and_again(house: House, path: Path) -> None:
    assert deliver(house, path).json == {"status": "ok"}
    assert deliver(house, path).json == {"status": "duplicate"}
    house.work(last_try=True)
    (event,) = house.rows(select(WebhookEvent))
    assert (event.provider, event.body) == (provider(path), path.read_bytes())
    assert event.state in SETTLED
    told = json.loads(path.read_bytes())
    assert event.type == (told.get("event") or told["triggerEvent"])
    assert deliver(house, path).json == {"status": "duplicate"}
    assert house.work() == 0


@pytest.mark.parametrize("path", EVERY, ids=name)
def test_what_is_not_signed_rightly_leaves_no_trace(house: House, path: Path) -> None:
    raw = path.read_bytes()
    door = f"/api/webhooks/{provider(path)}"
    refused = [
        deliver(house, path, secret="another"),
        deliver(house, path, secret=""),
        house.post(door, data=raw),
        house.post(door, data=raw[:-5], headers=_headers(path, raw)),
        house.post(door, data=raw + b" ", headers=_headers(path, raw)),
    ]
    assert {(answer.status_code, answer.json["code"]) for answer in refused} == {(400, "bad_signature")}
    assert house.count(WebhookEvent) == 0


def _headers(path: Path, raw: bytes) -> dict[str, str]:
    return calendly_headers(raw, time()) if provider(path) == "calendly" else calcom_headers(raw)


@pytest.mark.parametrize("seconds", [-181, 181, -86_400, 86_400])
def test_an_old_or_future_calendly_timestamp_is_refused(house: House, seconds: int) -> None:
    answer = deliver(house, CALENDLY[0], at=time() + seconds)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_signature")
    assert deliver(house, CALENDLY[0], at=time() + (seconds // abs(seconds)) * 170).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        *("", "t=,v1=", "v1=abc", "t=1", "t=x,v1=x", "t=1,t=2,v1=x", "t=nan,v1=x", f"t={'9' * 400},v1=x"),
        *("ÿ", "t=\u00e9,v1=\u00e9"),
    ],
)
def test_a_damaged_calendly_header_is_refused(house: House, header: str) -> None:
    answer = house.post(
        "/api/webhooks/calendly", data=b"{}", headers={"Calendly-Webhook-Signature": header.encode().decode("latin-1")}
    )
    assert (answer.status_code, answer.json["code"]) == (400, "bad_signature")


@pytest.mark.parametrize("header", ["", "no-secret-provided", "sha256=abc", "ÿ", "0" * 64])
def test_a_calcom_delivery_that_nobody_signed_is_refused(house: House, header: str) -> None:
    answer = house.post(
        "/api/webhooks/calcom", data=b"{}", headers={"X-Cal-Signature-256": header.encode().decode("latin-1")}
    )
    assert (answer.status_code, answer.json["code"]) == (400, "bad_signature")


@pytest.mark.parametrize("path", EVERY, ids=name)
def test_unreadable_bodies_are_refused_though_signed(house: House, path: Path) -> None:
    raw = path.read_bytes()
    bodies = {
        "truncated": raw[: len(raw) // 2],
        "not utf-8": raw.replace(b'"', b'\xff"', 1),
        "utf-16": raw.decode().encode("utf-16"),
        "empty": b"",
        "a list": b"[" + raw + b"]",
        "deep": b"[" * 100_000,
        "nothing in it": b"{}",
    }
    for what, body in bodies.items():
        answer = deliver(house, path, body)
        assert (what, answer.status_code, answer.json["code"]) == (what, 400, "malformed_event")
    assert house.count(WebhookEvent) == 0


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("calendly", {"event": "invitee.created"}),
        ("calendly", {"event": "invitee.created", "payload": {"uri": 7}}),
        ("calendly", {"event": "invitee.created", "payload": {"uri": "https://api.calendly.com/users/1"}}),
        ("calendly", {"event": "invitee.canceled", "payload": []}),
        ("calcom", {"triggerEvent": "BOOKING_CREATED"}),
        ("calcom", {"triggerEvent": "BOOKING_CREATED", "payload": {"uid": "u"}}),
        ("calcom", {"triggerEvent": "BOOKING_CREATED", "payload": {"uid": "u", "startTime": "x", "endTime": "y"}}),
        (
            "calcom",
            {
                "triggerEvent": "BOOKING_CREATED",
                "payload": {"uid": "u", "startTime": "2027-01-12T10:00:00Z", "endTime": "2027-01-12T09:00:00Z"},
            },
        ),
    ],
    ids=str,
)
def test_what_names_no_appointment_is_malformed(house: House, provider: str, body: object) -> None:
    answer = getattr(house, provider)(json.dumps(body).encode())
    assert (answer.status_code, answer.json["code"]) == (400, "malformed_event")


@pytest.mark.parametrize(
    ("provider", "setting"), [("calendly", "calendly_webhook_signing_key"), ("calcom", "calcom_webhook_secret")]
)
def test_no_secret_is_a_closed_door(simulator: str, db: Database, provider: str, setting: str) -> None:
    house = build(simulator, db, **{setting: ""})
    answer = getattr(house, provider)(b"{}", secret="")
    assert (answer.status_code, answer.json["code"]) == (404, "webhook_not_configured")


def test_what_is_kept_of_a_delivery(house: House) -> None:
    path = next(path for path in CALENDLY if path.name == "invitee.canceled.by-host.json")
    deliver(house, path)
    (event,) = house.rows(select(WebhookEvent))
    assert event.subject == "https://api.calendly.com/scheduled_events/OWN_E1/invitees/OWN_I1"
    assert event.occurred_at == datetime(2027, 1, 2, 9, 0, 0, 105381, tzinfo=UTC)
