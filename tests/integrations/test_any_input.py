"""Whatever anybody sends, only the documented refusals come out."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from admin_app.errors import BadSignature, MalformedEvent, NotSignedIn
from admin_app.integrations import calcom, calendly, clerk, stripe, whop
from admin_app.integrations.clerk.clerk_tokens import SessionTokens
from admin_app.integrations.http import fields
from tests.integrations.signing import CALCOM_SECRET, CALENDLY_KEY, CLERK_SECRET, STRIPE_SECRET, WHOP_SECRET, events

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
NAMES = (
    *("webhook-id", "webhook-timestamp", "webhook-signature", "X-Whop-Signature"),
    *("svix-id", "svix-timestamp", "svix-signature", "Stripe-Signature", "Other"),
    *("Calendly-Webhook-Signature", "X-Cal-Signature-256"),
)
ANY_TEXT = st.text() | st.text(alphabet="tv1=,. 0123456789abc\udcff\x00é", max_size=60)
HEADERS = st.dictionaries(st.sampled_from(NAMES), ANY_TEXT)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
REAL = [json.loads(path.read_bytes()) for path in events("whop") + events("clerk") + events("stripe")]
FIELDS = sorted(
    {name for event in REAL for part in (event, event.get("data")) if isinstance(part, dict) for name in part}
)
# Real field names with values of any kind, nested as the real ones are.
PAYLOADS = st.dictionaries(st.sampled_from(FIELDS), JSON | st.dictionaries(st.sampled_from(FIELDS), JSON))
TYPES = st.sampled_from(sorted({event.get("type") or event["action"] for event in REAL})) | JSON


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    body = draw(PAYLOADS) | {draw(st.sampled_from(["type", "action"])): draw(TYPES), "data": draw(PAYLOADS | JSON)}
    return json.dumps(body).encode()


@st.composite
def stripe_bodies(draw: st.DrawFn) -> bytes:
    """An event in order but for some of its parts."""
    real = next(event for event in REAL if event.get("object") == "event" and "api_version" in event)
    about = real["data"]["object"] | draw(st.dictionaries(st.sampled_from([*real["data"]["object"]]), JSON, max_size=3))
    changed = draw(st.dictionaries(st.sampled_from([*real]), JSON, max_size=2))
    return json.dumps(real | {"data": {"object": about}} | changed).encode()


def _damaged(draw: st.DrawFn, real: dict[str, Any], depth: int = 3) -> dict[str, Any]:
    """The same with some of its parts replaced by anything, at any depth."""
    changed = dict(real)
    for name in draw(st.lists(st.sampled_from(sorted(real)), max_size=2)):
        inner = real[name]
        deeper = depth and isinstance(inner, dict) and inner and draw(st.booleans())
        changed[name] = _damaged(draw, inner, depth - 1) if deeper else draw(JSON)
    return changed


@st.composite
def calendar_bodies(draw: st.DrawFn) -> bytes:
    """An event of Calendly or Cal.com in order but for some of its parts."""
    path = draw(st.sampled_from(events("calendly") + events("calcom")))
    return json.dumps(_damaged(draw, json.loads(path.read_bytes()))).encode()


RAW = st.binary() | bodies() | JSON.map(lambda value: json.dumps(value).encode())


@given(raw=RAW, headers=HEADERS, secret=st.sampled_from([WHOP_SECRET, "", "é"]))
def test_whop_signatures(raw, headers, secret):
    try:
        whop.verify(raw, headers, secret, NOW)
    except BadSignature:
        return
    raise AssertionError("nobody signed this")


@given(raw=RAW, headers=HEADERS)
def test_whop_events(raw, headers):
    try:
        event = whop.parse_event(raw, headers, NOW)
    except MalformedEvent:
        return
    assert event.external_id
    assert len(event.external_id) <= 200
    assert event.occurred_at.tzinfo is UTC
    for value in (event.external_id, event.type, event.membership_id, event.email, event.name):
        assert value is None or storable(value)


@given(raw=RAW, headers=HEADERS, secret=st.sampled_from([CLERK_SECRET, "", "é"]))
def test_clerk_signatures(raw, headers, secret):
    try:
        clerk.verify_webhook(raw, headers, secret)
    except BadSignature:
        return
    raise AssertionError("nobody signed this")


@given(raw=RAW, headers=HEADERS)
def test_clerk_events(raw, headers):
    try:
        event = clerk.parse_event(raw, headers)
    except MalformedEvent:
        return
    assert event.external_id
    assert all(storable(email.address) for email in (event.user.emails if event.user else ()))


@given(raw=RAW, headers=HEADERS, secret=st.sampled_from([STRIPE_SECRET, "", "é"]))
def test_stripe_signatures(raw, headers, secret):
    try:
        stripe.verify(raw, headers, secret, NOW)
    except BadSignature:
        return
    raise AssertionError("nobody signed this")


@given(raw=RAW | calendar_bodies(), headers=HEADERS, secret=st.sampled_from([CALENDLY_KEY, CALCOM_SECRET, "", "é"]))
def test_calendar_signatures(raw, headers, secret):
    for verify in (
        lambda: calendly.verify(raw, headers, secret, NOW),
        lambda: calcom.verify(raw, headers, secret),
    ):
        try:
            verify()
        except BadSignature:
            continue
        raise AssertionError("nobody signed this")


@given(raw=RAW | calendar_bodies())
def test_calendar_events(raw):
    for parse in (calendly.parse_event, calcom.parse_event):
        try:
            event = parse(raw, NOW)
        except MalformedEvent:
            continue
        assert event.external_id.isascii()
        assert len(event.external_id) <= 200
        assert event.occurred_at.tzinfo is UTC
        known = event.invitee if parse is calendly.parse_event else event
        values = [value for value in vars(known).values() if isinstance(value, str)] if known else []
        assert all(map(storable, [event.type, *values]))
        if known and event.kind != "ignored":
            assert known.starts_at < known.ends_at


@given(raw=RAW | stripe_bodies())
def test_stripe_events(raw):
    try:
        event = stripe.parse_event(raw)
    except MalformedEvent:
        return
    assert len(event.external_id) <= 200
    assert event.occurred_at.tzinfo is UTC
    for value in (event.external_id, event.type, event.object_id, event.payment_intent_id, event.subject):
        assert value is None or storable(value)


@given(token=st.text() | st.from_regex(r"[A-Za-z0-9_-]{1,40}(\.[A-Za-z0-9_-]{0,40}){0,4}"))
def test_session_tokens(token):
    tokens = SessionTokens("https://demo.clerk.example", lambda _kid: [], ())
    try:
        tokens.verify(token)
    except NotSignedIn:
        return
    raise AssertionError("nobody signed this")


@given(value=JSON)
def test_single_fields(value):
    moment = fields.moment(value)
    assert moment is None or moment.tzinfo is UTC
    address = fields.email(value)
    assert address is None or (storable(address) and "@" in address)


def storable(value: str) -> bool:
    return "\x00" not in value and value == value.encode("utf-8", "ignore").decode()
