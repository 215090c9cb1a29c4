"""What a delivery of Stripe's is about."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from admin_app.errors import ForeignMode, MalformedEvent
from admin_app.integrations import stripe
from admin_app.integrations.money_ports import StripeEvent
from tests.integrations.signing import OWN_EVENTS, events, shared_events

EVERY_EVENT = events("stripe") + shared_events("stripe")


def own(name: str) -> StripeEvent:
    return stripe.parse_event((OWN_EVENTS / "stripe" / f"{name}.json").read_bytes())


def changed(**parts: Any) -> bytes:
    body = json.loads((OWN_EVENTS / "stripe" / "checkout.session.completed.json").read_bytes())
    return json.dumps(body | parts).encode()


@pytest.mark.parametrize("path", EVERY_EVENT, ids=lambda path: path.stem)
def test_every_example_is_read(path):
    body = json.loads(path.read_bytes())
    event = stripe.parse_event(path.read_bytes())
    assert (event.external_id, event.type, event.livemode) == (body["id"], body["type"], False)
    assert event.occurred_at == datetime.fromtimestamp(body["created"], UTC)
    assert event.object_id == body["data"]["object"]["id"]


@pytest.mark.parametrize(
    ("name", "object_id", "payment", "subject"),
    [
        ("checkout.session.completed", "cs_test_own1", "pi_own1", "booking:12"),
        ("checkout.session.completed.meeting", "cs_test_own1", "pi_own1", "meeting:3"),
        ("checkout.session.completed.foreign", "cs_test_own1", "pi_own1", None),
        ("checkout.session.expired", "cs_test_own1", None, "booking:12"),
        ("payment_intent.payment_failed", "pi_own1", "pi_own1", "booking:12"),
        ("charge.refunded", "ch_own1", "pi_own1", "booking:12"),
        ("refund.created", "re_own1", "pi_own1", None),
        ("charge.dispute.created", "du_own1", "pi_own1", None),
        ("product.created.unknown", "prod_own1", None, None),
    ],
)
def test_it_names_its_object_its_payment_and_what_was_paid_for(name, object_id, payment, subject):
    event = own(name)
    assert (event.object_id, event.payment_intent_id, event.subject) == (object_id, payment, subject)


@pytest.mark.parametrize(
    ("metadata", "subject"),
    [
        ({"bookingId": "12"}, "booking:12"),
        ({"subject": "meeting:3", "bookingId": "12"}, "meeting:3"),
        ({"subject": "profile:3"}, None),
        ({"subject": "booking:0"}, None),
        ({"subject": "booking:12; DROP"}, None),
        ({"subject": f"booking:{'9' * 19}"}, None),
        ({"bookingId": 12}, None),
        ({"bookingId": "-1"}, None),
        ({"bookingId": "१२"}, None),
        ("x", None),
        (None, None),
    ],
)
def test_only_a_number_of_ours_is_a_subject(metadata, subject):
    about = {"id": "cs_1", "object": "checkout.session", "metadata": metadata}
    assert stripe.parse_event(changed(data={"object": about})).subject == subject


def test_an_expanded_payment_is_named_too():
    about = {"id": "ch_1", "object": "charge", "payment_intent": {"id": "pi_9", "object": "payment_intent"}}
    assert stripe.parse_event(changed(data={"object": about})).payment_intent_id == "pi_9"


@pytest.mark.parametrize(
    "parts",
    [
        {"id": None},
        {"id": "e" * 201},
        {"id": 5},
        {"object": "v2.core.event"},
        {"object": None},
        {"type": ""},
        {"type": ["x"]},
        {"created": None},
        {"created": "soon"},
        {"created": -5},
        {"livemode": None},
        {"livemode": "false"},
        {"data": None},
        {"data": {"object": []}},
        {"data": []},
    ],
    ids=str,
)
def test_what_is_no_event_is_malformed(parts):
    with pytest.raises(MalformedEvent):
        stripe.parse_event(changed(**parts))


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000], ids=lambda raw: repr(raw[:8]))
def test_what_is_no_object_is_malformed(raw):
    with pytest.raises(MalformedEvent):
        stripe.parse_event(raw)


@pytest.mark.parametrize(
    ("live", "key", "own_mode"),
    [
        (False, "sk_test_1", True),
        (False, "rk_test_1", True),
        (True, "sk_live_1", True),
        (True, "rk_live_1", True),
        (True, "sk_test_1", False),
        (False, "sk_live_1", False),
        (True, "", False),
    ],
)
def test_play_money_and_real_money_never_meet(live, key, own_mode):
    event = stripe.parse_event(changed(livemode=live))
    if own_mode:
        stripe.require_own_mode(event, key)
        return
    with pytest.raises(ForeignMode):
        stripe.require_own_mode(event, key)
