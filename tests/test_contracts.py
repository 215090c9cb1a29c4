"""The watch over our requests sees what it is there for, and lets through what the documents allow."""

from typing import Any

import httpx
import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from tests.contracts import WATCH, decode, violations
from tests.house import simulator
from tests.integrations.signing import SHARED_CONTRACTS

__all__ = ["simulator"]
needs_documents = pytest.mark.skipif(
    not SHARED_CONTRACTS.exists(), reason="the collected contracts are not beside the project"
)
CAL = {"cal-api-version": "2024-09-04"}
CHECKOUT = {
    "mode": "payment",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "eur",
    "line_items[0][price_data][unit_amount]": "15000",
    "line_items[0][price_data][product_data][name]": "Session",
    "metadata[bookingId]": "12",
    "expires_at": "1795000000",
}
BOOKING = {
    "eventTypeId": 7,
    "start": "2026-12-01T09:00:00Z",
    "attendee": {"name": "Ada", "email": "ada@example.com", "timeZone": "Europe/Vienna"},
}


def sent(method: str, path: str, **given: Any) -> Request:
    return EnvironBuilder(path, method=method, **given).get_request()


@needs_documents
@pytest.mark.parametrize(
    "request_",
    [
        sent("POST", "/stripe/v1/checkout/sessions", data=CHECKOUT),
        sent("POST", "/stripe/v1/refunds", data={"payment_intent": "pi_1", "amount": "100", "metadata[a]": "1"}),
        sent("POST", "/stripe/v1/checkout/sessions/cs_1/expire"),
        sent("GET", "/stripe/v1/payment_intents/pi_1", query_string={"expand[0]": "latest_charge"}),
        sent("GET", "/stripe/v1/refunds", query_string={"payment_intent": "pi_1", "limit": "100"}),
        sent("GET", "/stripe/v1/disputes", query_string={"payment_intent": "pi_1"}),
        sent("GET", "/whop/api/v1/memberships", query_string={"first": "100", "after": "x"}),
        sent("GET", "/clerk/v1/users/user_1"),
        sent("GET", "/calcom/v2/slots", query_string={"eventTypeId": "7", "start": "a", "end": "b"}, headers=CAL),
        sent("POST", "/calcom/v2/bookings", json=BOOKING, headers={"cal-api-version": "2026-02-25"}),
        sent("POST", "/workos/user_management/users", json={"email": "ada@example.com"}),
        sent("GET", "/_sim/deliveries"),
        sent("GET", "/stripe/pay/cs_1"),
    ],
    ids=lambda request_: f"{request_.method} {request_.path}",
)
def test_what_is_documented_passes(request_):
    assert violations(request_) == []


@needs_documents
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (sent("GET", "/stripe/v1/nothing"), "no such call"),
        (sent("DELETE", "/stripe/v1/refunds"), "no such call"),
        (sent("GET", "/stripe/v1/refunds", query_string={"payment": "pi_1"}), "no query parameter payment"),
        (sent("GET", "/stripe/v1/refunds", query_string={"limit": "ten"}), "query limit"),
        (sent("POST", "/stripe/v1/checkout/sessions", data=CHECKOUT | {"mode": "gift"}), "$.mode"),
        (sent("POST", "/stripe/v1/checkout/sessions", data=CHECKOUT | {"color": "red"}), "color"),
        (sent("POST", "/stripe/v1/checkout/sessions", data=CHECKOUT | {"payment_method_types[0]": "card"}), "payment_"),
        (sent("POST", "/stripe/v1/checkout/sessions", data=CHECKOUT | {"line_items[0][amount]": "1"}), "amount"),
        (sent("POST", "/stripe/v1/refunds", data={"amount": "1.5"}), "$.amount"),
        (sent("POST", "/stripe/v1/refunds", json={"amount": 1}), "a body of type application/json"),
        (sent("GET", "/stripe/v1/refunds/re_1", data=b"x"), "a body where none is known"),
        (
            sent("GET", "/calcom/v2/slots", query_string={"eventTypeId": "7", "start": "a", "end": "b"}),
            "cal-api-version",
        ),
        (sent("POST", "/calcom/v2/bookings", headers=CAL, json=BOOKING | {"eventTypeId": "seven"}), "eventTypeId"),
        (sent("POST", "/calcom/v2/bookings", headers=CAL, json={"eventTypeId": 7}), "any of the given"),
        (sent("POST", "/workos/user_management/users", json={"mail": "ada@example.com"}), "required"),
        (sent("POST", "/workos/user_management/users", json={"email": "a@b.c", "mail": "x"}), "mail"),
        (sent("POST", "/calendly/scheduled_events/e/cancellation", json={"reason": 1}), "$.reason"),
    ],
    ids=lambda given: f"{given.method} {given.path}" if isinstance(given, Request) else given,
)
def test_what_is_not_documented_is_noted(request_, expected):
    assert expected in " ".join(violations(request_))


@needs_documents
@pytest.mark.calls_providers_itself
def test_a_running_simulator_is_watched(simulator: str) -> None:
    httpx.get(f"{simulator}/stripe/v1/nothing", trust_env=False)
    assert WATCH.taken() == ["GET /v1/nothing: the document has no such call"]


def test_brackets_are_a_tree_of_names_and_positions():
    pairs = [("a[b][0][c]", "1"), ("a[b][1][c]", "2"), ("d[]", "3"), ("d[]", "4"), ("e", "5"), ("f[0]", "6")]
    assert decode(iter(pairs)) == {"a": {"b": [{"c": "1"}, {"c": "2"}]}, "d": ["3", "4"], "e": "5", "f": ["6"]}
