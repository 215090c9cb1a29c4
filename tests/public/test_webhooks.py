"""Deliveries: proved, stored once, answered after the commit; everything else is refused without a trace."""

import json
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from time import time
from typing import Any

import pytest
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from admin_app.db import Database
from admin_app.services import inbox
from models import EventState, PendingProfile, WebhookEvent
from tests.applications import Applications
from tests.house import House, build, lent
from tests.integrations.signing import (
    clerk_headers,
    current_whop_headers,
    events,
    is_legacy,
    legacy_whop_headers,
    shared_events,
    stripe_headers,
)
from tests.services.factories import SUPPORT

# Beside the events lie some examples of other things.
EXAMPLES = [
    path
    for provider in ("whop", "clerk", "stripe")
    for path in events(provider) + shared_events(provider)
    if not path.name.startswith("session-token")
]
WRONG_SECRETS = {
    "whop": "ws_wrong",
    "clerk": "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB",
    "stripe": "whsec_wrong",
}
SETTLED = {EventState.PROCESSED, EventState.IGNORED, EventState.PARKED, EventState.SUPERSEDED}


def name(path: Path) -> str:
    return f"{'shared' if 'shared' in path.parts else 'own'}-{path.name}"


def deliver(house: House, path: Path, **signed: Any) -> TestResponse:
    """As the provider of this example does."""
    answer: TestResponse = getattr(house, path.parent.name)(path.read_bytes(), **signed)
    return answer


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_an_event_once_and_again(house: House, path: Path) -> None:
    first, again = deliver(house, path), deliver(house, path)
    assert (first.status_code, first.json) == (200, {"status": "ok"})
    assert (again.status_code, again.json) == (200, {"status": "duplicate"})
    house.work(last_try=True)
    (kept,) = house.rows(select(WebhookEvent))
    assert kept.body == path.read_bytes()
    assert kept.state in SETTLED
    assert deliver(house, path).json == {"status": "duplicate"}
    assert house.work() == 0


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_bad_deliveries_leave_no_trace(house: House, path: Path) -> None:
    refused = [
        deliver(house, path, secret=WRONG_SECRETS[path.parent.name]),
        deliver(house, path, at=time() - 310),
        deliver(house, path, at=time() + 310),
    ]
    assert [answer.status_code for answer in refused] == [400, 400, 400]
    assert {answer.json["code"] for answer in refused} == {"bad_signature"}
    assert house.count(WebhookEvent) == 0


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.parent.name == "stripe"], ids=name)
def test_an_event_of_the_other_mode_leaves_no_trace(house: House, applications: Applications, path: Path) -> None:
    """Live ones where the key is for tests, and the other way round."""
    body = json.loads(path.read_bytes())
    live = lent(applications, house.simulator, house.db, stripe_secret_key="sk_live_x")
    for answer in (house.stripe(body | {"livemode": True}), live.stripe(body)):
        assert (answer.status_code, answer.json["code"]) == (400, "foreign_mode")
    assert house.count(WebhookEvent) == 0


def signed_like(path: Path, raw: bytes, delivery: str = "msg_1") -> dict[str, str]:
    """Signed over these bytes in the form of that example, whether they are readable or not."""
    if path.parent.name == "clerk":
        return clerk_headers(raw, time(), delivery=delivery)
    if path.parent.name == "stripe":
        return stripe_headers(raw, time())
    if is_legacy(json.loads(path.read_bytes())):
        return legacy_whop_headers(raw, time())
    return current_whop_headers(raw, time(), delivery=delivery)


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_unreadable_bodies_are_refused_though_signed(house: House, path: Path) -> None:
    raw = path.read_bytes()
    door = f"/api/webhooks/{path.parent.name}"
    bodies = {
        "truncated": raw[: len(raw) // 2],
        "not utf-8": raw.replace(b'"', b'\xff"', 1),
        "utf-16": raw.decode().encode("utf-16"),
        "empty": b"",
        "a list": b"[" + raw + b"]",
        "deep": b"[" * 100_000,
    }
    for what, body in bodies.items():
        answer = house.post(door, data=body, headers=signed_like(path, body))
        assert (what, answer.status_code) == (what, 400)
        assert answer.json["code"] in {"malformed_event", "bad_signature"}  # some read before they compare
        assert answer.content_type == "application/problem+json"
    truncated = house.post(door, data=raw[:-5], headers=signed_like(path, raw))
    assert (truncated.status_code, truncated.json["code"]) == (400, "bad_signature")
    assert house.count(WebhookEvent) == 0


@pytest.mark.parametrize("provider", ["whop", "clerk", "stripe"])
def test_no_secret_is_a_closed_door(simulator: str, db: Database, provider: str) -> None:
    house = build(simulator, db, **{f"{provider}_webhook_secret": ""})
    answer = deliver(house, events(provider)[0])
    assert (answer.status_code, answer.json["code"]) == (404, "webhook_not_configured")
    assert house.count(WebhookEvent) == 0


@pytest.mark.parametrize("provider", ["nobody", "Whop", "whop%00", "%F0%9F%92%A9"])
def test_providers_that_are_none_do_not_pretend(house: House, provider: str) -> None:
    assert house.post(f"/api/webhooks/{provider}", data=b"{}").status_code == 404


def test_one_mebibyte_is_the_most(house: House) -> None:
    largest = b"x" * (1024 * 1024)
    assert (
        house.post("/api/webhooks/whop", data=largest, headers=current_whop_headers(largest, time())).status_code == 400
    )
    answer = house.post("/api/webhooks/whop", data=largest + b"x")
    assert (answer.status_code, answer.json["code"]) == (413, "request_entity_too_large")
    assert house.count(WebhookEvent) == 0


@pytest.mark.parametrize("address", ["/api/webhooks/whop", "/api/pending-profiles/claim"])
def test_a_body_that_does_not_state_its_length_is_not_cut_but_refused(house: House, address: str) -> None:
    without_length = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    _, token = house.customer("long@example.com")
    body = BytesIO(b"x" * (1024 * 1024 + 1))
    answer = house.post(
        address, token=token, input_stream=body, content_type="application/json", environ_overrides=without_length
    )
    assert (answer.status_code, answer.json["code"]) == (413, "request_entity_too_large")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Webhook-Signature": "v1"},
        {"Webhook-Signature": "v1,é", "Webhook-Id": "x", "Webhook-Timestamp": "²"},
        {"Webhook-Signature": "", "Webhook-Id": "", "Webhook-Timestamp": ""},
        {"X-Whop-Signature": "t=,v1="},
        {"X-Whop-Signature": "t=1,t=2,v1=00"},
        {"X-Whop-Signature": f"t={'9' * 5000},v1=00"},
        {"Svix-Id": "x", "Svix-Timestamp": "now", "Svix-Signature": "v1,%%%"},
        {"Svix-Id": "x", "Svix-Timestamp": "1", "Svix-Signature": "no comma"},
        {"Stripe-Signature": ""},
        {"Stripe-Signature": f"t={'9' * 5000},v1=00"},
        {"Stripe-Signature": "t=²,v1=é"},
    ],
)
@pytest.mark.parametrize("provider", ["whop", "clerk", "stripe"])
def test_odd_headers_are_bad_signatures(house: House, provider: str, headers: dict[str, str]) -> None:
    answer = house.post(f"/api/webhooks/{provider}", data=b"{}", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (400, "bad_signature")


def test_two_hundred_deliveries_of_one_event_at_once_are_stored_once(real_house: House) -> None:
    raw = (events("whop")[0]).read_bytes()
    with ThreadPoolExecutor(40) as crowd:
        answers = list(crowd.map(lambda _: real_house.whop(raw).json["status"], range(200)))
    assert sorted(set(answers)) == ["duplicate", "ok"]
    assert answers.count("ok") == 1
    assert real_house.count(WebhookEvent) == 1


def test_the_answer_waits_for_the_commit(real_house: House) -> None:
    """A transaction that cannot commit is not answered with ok, so that the provider tries again."""
    with real_house.db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE webhook_events ADD CONSTRAINT never CHECK (false) NOT VALID"))
    answer = real_house.whop(events("whop")[0].read_bytes())
    assert answer.status_code == 500
    assert (real_house.count(WebhookEvent), real_house.work()) == (0, 0)


def test_support_helps_a_parked_event_on(house: House) -> None:
    raw = next(path for path in events("whop") if path.name == "membership.activated.v1-no-email.json").read_bytes()
    house.whop(raw)
    house.work(last_try=True)
    (event,) = house.rows(select(WebhookEvent))
    assert (event.state, event.parked_because) == (EventState.PARKED, "email_missing")
    with house.db.unit_of_work(SUPPORT) as ctx:
        inbox.attach_email(ctx, event_id=event.id, email="found@example.com", reason="asked the buyer")
    house.work()
    (pending,) = house.rows(select(PendingProfile))
    assert pending.email == "found@example.com"
