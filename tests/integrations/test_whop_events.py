"""What each example delivery of Whop means, in every form."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin_app.errors import MalformedEvent
from admin_app.integrations import whop
from admin_app.integrations.ports import WhopEvent
from tests.integrations.signing import OWN_EVENTS, SHARED_CONTRACTS, events, shared_events, whop_headers

RECEIVED = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BOUGHT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
KINDS = {
    "membership.activated": "purchase",
    "membership.went_valid": "purchase",
    "payment.succeeded": "purchase",
    "membership.deactivated": "ended",
    "membership.went_invalid": "ended",
    "membership.cancel_at_period_end_changed": "cancellation",
}


def parse(body: dict[str, Any] | bytes, **headers: str) -> WhopEvent:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return whop.parse_event(raw, headers, RECEIVED)


def own(name: str) -> WhopEvent:
    raw = (OWN_EVENTS / "whop" / f"{name}.json").read_bytes()
    return whop.parse_event(raw, whop_headers(raw, RECEIVED.timestamp()), RECEIVED)


def name_and_form(stem: str) -> tuple[str, str]:
    """`payment.succeeded.v5` and `payment.succeeded` (the v1 form) alike."""
    first, second, *form = stem.split(".", 2)
    return f"{first}.{second}", form[0] if form else "v1"


@pytest.mark.parametrize("path", events("whop") + shared_events("whop"), ids=lambda path: path.stem)
def test_every_example_is_read(path):
    raw = path.read_bytes()
    event = whop.parse_event(raw, whop_headers(raw, RECEIVED.timestamp(), delivery="msg_7"), RECEIVED)
    name, form = name_and_form(path.stem)
    data = (body := json.loads(raw)).get("data", body.get("body"))
    assert (event.type, event.kind) == (name, KINDS.get(name, "ignored"))
    assert event.external_id == "msg_7" or "action" in body
    assert event.occurred_at.tzinfo is UTC
    if event.kind != "ignored":
        about_payment = name.startswith("payment.")
        assert event.membership_id == (own_membership_id(data) if about_payment else data["id"])
        has_email = form in {"v1", "v2", "v2-body"} or (about_payment and form.startswith("pinned"))
        assert (event.email is not None) == (has_email and "@" in raw.decode())
        assert about_payment or event.period_start is not None


def own_membership_id(payment: dict[str, Any]) -> str:
    nested = payment.get("membership")
    return payment.get("membership_id") or (nested["id"] if isinstance(nested, dict) else nested)


@pytest.mark.skipif(not SHARED_CONTRACTS.exists(), reason="the collected contracts are not beside the project")
def test_the_collected_examples_are_there():
    assert len(shared_events("whop")) >= 14


@pytest.mark.parametrize("form", ["v1", "pinned", "v5", "v2"])
def test_an_activation_says_the_same_in_every_form(form):
    event = own(f"membership.{'activated' if form in {'v1', 'pinned'} else 'went_valid'}.{form}")
    assert event.kind == "purchase"
    assert (event.membership_id, event.whop_user_id) == ("mem_Own0001", "user_Own0001")
    assert event.email == ("Greta.Lind@Example.com" if form in {"v1", "v2"} else None)
    assert event.name == ("Greta Lind" if form == "v1" else None)
    assert event.plan_duration == "yearly"
    assert (event.period_start, event.period_end) == (BOUGHT, datetime(2027, 11, 3, 9, 30, tzinfo=UTC))
    assert event.cancel_at_period_end is False


@pytest.mark.parametrize("form", ["v1", "pinned", "v5", "v2"])
def test_a_payment_says_the_same_in_every_form(form):
    event = own(f"payment.succeeded.{form}")
    assert event.kind == "purchase"
    assert (event.membership_id, event.whop_user_id) == ("mem_Own0001", "user_Own0001")
    assert event.email == (None if form == "v5" else "Greta.Lind@Example.com")
    assert event.period_end is None
    assert event.cancel_at_period_end is None


@pytest.mark.parametrize("form", ["v1", "pinned", "v5", "v2"])
def test_a_cancellation_says_the_same_in_every_form(form):
    event = own(f"membership.cancel_at_period_end_changed.{form}")
    assert (event.kind, event.cancel_at_period_end, event.plan_duration) == ("cancellation", True, "monthly")


def test_the_older_v2_form_with_body_is_read():
    event = own("membership.went_valid.v2-body")
    assert (event.membership_id, event.plan_duration) == ("mem_Own0001", "monthly")


def test_what_is_missing_is_none_and_no_error():
    event = own("membership.activated.v1-no-user")
    assert (event.whop_user_id, event.email, event.name, event.plan_duration) == (None, None, None, None)
    assert own("membership.activated.v1-no-email").email is None
    unclaimed = own("membership.activated.pinned-unclaimed")
    assert (unclaimed.kind, unclaimed.whop_user_id) == ("purchase", None)


def test_failed_payments_refunds_and_unknown_events_are_ignored():
    assert own("payment.failed.v1").kind == "ignored"
    assert (own("refund.created.v1").kind, own("refund.created.v1").membership_id) == ("ignored", "mem_Own0001")
    assert own("experience.claimed.unknown").kind == "ignored"


class TestOccurredAt:
    def test_is_the_time_in_the_envelope(self):
        assert own("membership.activated.v1").occurred_at == datetime(2026, 11, 3, 9, 30, 2, tzinfo=UTC)

    def test_of_a_legacy_form_is_when_it_was_signed(self):
        raw = (OWN_EVENTS / "whop" / "membership.went_valid.v5.json").read_bytes()
        headers = whop_headers(raw, RECEIVED.timestamp() - 7)
        assert whop.parse_event(raw, headers, RECEIVED).occurred_at == RECEIVED - timedelta(seconds=7)

    @pytest.mark.parametrize("header", ["", "t=", "t=x,v1=y", "t=" + "9" * 400, "\x00"])
    def test_is_the_time_of_receipt_when_nothing_tells_it(self, header):
        event = parse({"action": "membership.went_valid", "data": {"id": "mem_1"}}, **{"x-whop-signature": header})
        assert event.occurred_at == RECEIVED

    @pytest.mark.parametrize("stated", ["yesterday", "", None, 10**30, -5, "0001-01-01T00:00:00+14:00", [], True])
    def test_falls_back_on_nonsense(self, stated):
        assert parse({"type": "x", "timestamp": stated}).occurred_at == RECEIVED

    @pytest.mark.parametrize(
        "stated",
        ["2026-11-20T10:00:00Z", "2026-11-20T11:00:00+01:00", "2026-11-20T10:00:00", 1795168800, 1795168800000],
    )
    def test_reads_text_seconds_and_milliseconds(self, stated):
        moment = parse({"type": "x", "timestamp": stated}).occurred_at
        assert moment == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


class TestExternalId:
    def test_is_the_signed_delivery_id(self):
        headers = {"webhook-id": "msg_header", "webhook-signature": "v1,x"}
        assert parse({"id": "msg_body", "type": "x"}, **headers).external_id == "msg_header"

    def test_is_the_bodys_id_without_one(self):
        assert parse({"id": "msg_body", "type": "x"}).external_id == "msg_body"

    def test_of_a_legacy_delivery_ignores_an_unsigned_id(self):
        body = {"action": "membership.went_valid", "data": {"id": "mem_1"}}
        headers = {"x-whop-signature": "t=1,v1=x"}
        assert parse(body, **headers).external_id == parse(body, **headers, **{"webhook-id": "forged"}).external_id

    @pytest.mark.parametrize("form", ["v5", "v2"])
    def test_of_a_legacy_redelivery_is_the_same_and_of_a_renewal_another(self, form):
        raw = (OWN_EVENTS / "whop" / f"membership.went_valid.{form}.json").read_bytes()
        body = json.loads(raw)
        first, again = parse(raw), parse(raw)
        body["data"]["renewal_period_end"] += 365 * 86400
        renewal = parse(body)
        assert first.external_id == again.external_id != renewal.external_id

    def test_of_one_purchase_in_v5_and_in_v2_differs(self):
        assert own("membership.went_valid.v5").external_id != own("membership.went_valid.v2").external_id

    def test_of_valid_and_invalid_differs(self):
        assert own("membership.went_valid.v5").external_id != own("membership.went_invalid.v5").external_id

    def test_that_is_too_long_becomes_a_digest(self):
        assert len(parse({"id": "m" * 9000, "type": "x"}).external_id) < 100


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"billing_period_days": 365}, "yearly"),
        ({"billing_period_days": 30}, "monthly"),
        ({"billing_period_days": 90}, None),
        ({"plan": {"billing_period": 365}}, "yearly"),
        ({"plan": {"billing_period": "30"}}, "monthly"),
        ({"formatted_renewal_price": "$49.00 / month"}, "monthly"),
        ({"formatted_renewal_price": "€490,00 / year"}, "yearly"),
        ({"formatted_renewal_price": "$120 / 3 months"}, None),
        ({"formatted_renewal_price": "$400 / 12 months"}, "yearly"),
        ({"formatted_renewal_price": "once"}, None),
        ({"renewal_period_start": 1795000000, "renewal_period_end": 1797592000}, "monthly"),
        ({"renewal_period_start": 1795000000, "renewal_period_end": 1826536000}, "yearly"),
        ({"renewal_period_start": 1797592000, "renewal_period_end": 1795000000}, None),
        ({"billing_period_days": [], "plan": 7, "formatted_renewal_price": {}}, None),
        ({}, None),
    ],
)
def test_plan_duration_from_whatever_tells_it(data, expected):
    assert parse({"type": "membership.activated", "data": data}).plan_duration == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (" max@example.com ", "max@example.com"),
        ("Max@Example.COM", "Max@Example.COM"),
        ("max", None),
        ("max@", None),
        ("max@example", None),
        ("a b@example.com", None),
        ("max@example.com\nBcc: all@example.com", None),
        ("m" * 300 + "@example.com", None),
        (["max@example.com"], None),
        (None, None),
        ("jose\u0301@example.com", "jos\u00e9@example.com"),
        ("\u212aate@example.com", None),
    ],
)
def test_only_what_can_be_an_address_is_one(written, expected):
    assert parse({"type": "membership.activated", "data": {"email": written}}).email == expected


def test_text_that_a_database_cannot_hold_is_cleaned():
    event = parse(b'{"type":"membership.activated","data":{"id":"mem\\u0000_1","user":{"name":"A\\ud800\\u0007B"}}}')
    assert (event.membership_id, event.name) == ("mem_1", "AB")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{}",
        b'{"type": 7, "data": {}}',
        b'{"type": ""}',
        b'{"type": "membership.activated"}',
        b'{"type": "membership.activated", "data": []}',
        b'{"action": "membership.went_valid", "data": null}',
        b"\xff\xfe{}",
        b'\xef\xbb\xbf{"type":"x"}',
        b"[" * 200_000,
        b'{"type":"x","n":' + b"1" * 5000 + b"}",
    ],
    ids=lambda raw: repr(raw[:30]),
)
def test_what_is_no_event_is_malformed(raw):
    with pytest.raises(MalformedEvent):
        parse(raw)
