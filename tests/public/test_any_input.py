"""Whatever comes in at a public door gets a 4xx with a sentence: no 5xx, no trace."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import Booking, PendingProfile, Profile, WebhookEvent
from tests.house import House
from tests.integrations.signing import events
from tests.outside import MOMENTS, WHOLE_NUMBERS
from tests.public.test_webhooks import signed_like

FUZZ = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NASTY = st.sampled_from(["\x00", "\ud800", "a\nb", "' OR 1=1", "%00", "\u202e", "ａ@example.com", "x" * 5000, ""])
TEXTS = st.one_of(st.text(), NASTY, st.emails())
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), WHOLE_NUMBERS, st.floats(), TEXTS, MOMENTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
BODIES = st.one_of(
    st.fixed_dictionaries({}, optional={"email": st.one_of(TEXTS, VALUES), "token": st.one_of(TEXTS, VALUES)}),
    VALUES,
)
WHOP = next(path for path in events("whop") if path.name == "membership.activated.v1.json")
CLERK = next(path for path in events("clerk") if path.name == "user.created.json")
STRIPE = next(path for path in events("stripe") if path.name == "checkout.session.completed.json")


@pytest.fixture
def stranger(house: House) -> str:
    return house.customer("stranger@example.com")[1]


@FUZZ
@given(body=BODIES)
def test_claims(house: House, stranger: str, body: Any) -> None:
    answer = house.post(
        "/api/pending-profiles/claim", token=stranger, data=json.dumps(body), content_type="application/json"
    )
    assert 400 <= answer.status_code < 500
    assert answer.content_type == "application/problem+json"
    assert answer.json["detail"].endswith(".")
    assert house.count(Profile) == house.count(PendingProfile) == 0


BOOKING = ("practitioner_id", "session_type_id", "starts_at", "client_name", "client_email", "timezone")


@FUZZ
@given(
    changed=st.dictionaries(st.sampled_from(BOOKING), VALUES, min_size=1), left_out=st.sets(st.sampled_from(BOOKING))
)
def test_bookings(house: House, changed: dict[str, Any], left_out: set[str]) -> None:
    body = {
        "practitioner_id": 1,
        "session_type_id": 1,
        "starts_at": "2030-01-01T10:00:00Z",
        "client_name": "Cleo",
        "client_email": "cleo@example.com",
    } | changed
    sent = {name: value for name, value in body.items() if name not in left_out}
    answer = house.post("/api/bookings", data=json.dumps(sent), content_type="application/json")
    assert 400 <= answer.status_code < 500
    assert answer.content_type == "application/problem+json"
    assert answer.json["detail"].endswith(".")
    assert house.count(Booking) == 0


@FUZZ
@given(session_id=TEXTS, number=st.integers())
def test_where_a_payer_returns(house: House, session_id: str, number: int) -> None:
    query = {"session_id": session_id.encode("utf-8", "replace")}
    assert house.get(f"/api/bookings/{number}", query_string=query).status_code == 404
    assert house.get("/booking", query_string=query).status_code in (200, 404)


@FUZZ
@given(header=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=200))
def test_authorization_headers(house: House, header: str) -> None:
    for given_header in (header, f"Bearer {header}", f"bearer {header}.{header}.{header}"):
        answer = house.post("/api/profiles/sign-in", headers={"Authorization": given_header})
        assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in")


@FUZZ
@given(
    where=st.lists(st.sampled_from([*json.loads(WHOP.read_bytes())["data"], "user", "plan"]), max_size=4), value=VALUES
)
def test_signed_whop_events_of_any_content(house: House, where: list[str], value: Any) -> None:
    """A provider may send what its documents do not say: it is stored and settled, parked or refused."""
    body = json.loads(WHOP.read_bytes())
    for name in where:
        body["data"][name] = value
    raw = json.dumps(body).encode()
    before = house.count(WebhookEvent)
    answer = house.post("/api/webhooks/whop", data=raw, headers=signed_like(WHOP, raw, f"msg_{before}"))
    assert answer.status_code in {200, 400}
    house.work(last_try=True)


@FUZZ
@given(data=st.dictionaries(st.sampled_from([*json.loads(CLERK.read_bytes())["data"]]), VALUES, max_size=4))
def test_signed_clerk_events_of_any_content(house: House, data: dict[str, Any]) -> None:
    body = json.loads(CLERK.read_bytes())
    body["data"] |= data
    raw = json.dumps(body).encode()
    before = house.count(WebhookEvent)
    answer = house.post("/api/webhooks/clerk", data=raw, headers=signed_like(CLERK, raw, f"msg_{before}"))
    assert answer.status_code in {200, 400}
    house.work(last_try=True)


@FUZZ
@given(data=st.dictionaries(st.sampled_from([*json.loads(STRIPE.read_bytes())["data"]["object"]]), VALUES, max_size=4))
def test_signed_stripe_events_of_any_content(house: House, data: dict[str, Any]) -> None:
    body = json.loads(STRIPE.read_bytes())
    body["data"]["object"] |= data
    body["id"] = f"evt_{house.count(WebhookEvent)}"
    assert house.stripe(body).status_code in {200, 400}
    house.work(last_try=True)


@FUZZ
@given(path=st.text(st.characters(codec="utf-8", exclude_characters="?#"), max_size=30), query=st.text(max_size=30))
def test_addresses(house: House, path: str, query: str) -> None:
    for prefix in ("/api/webhooks/", "/api/", "/claim"):
        assert (
            house.app.test_client()
            .get(prefix + path, query_string={"token": query.encode("utf-8", "replace")})
            .status_code
            < 500
        )
