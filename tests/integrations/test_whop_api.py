"""Memberships read from Whop's API, whatever shape and completeness the answer has."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from admin_app.config import Settings
from admin_app.errors import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations import whop
from admin_app.integrations.ports import WhopPort
from tests.integrations.conftest import ScriptedProvider

PATH = "/api/v1/memberships/mem_1"
MEMBER = "/api/v1/members/mber_1"
FIRST_PAGE = "/api/v1/memberships?first=100"
MINIMAL = {
    "id": "mem_1",
    "user_id": "user_1",
    "member_id": "mber_1",
    "status": "active",
    "current_period_start": "2026-11-01T00:00:00Z",
    "current_period_end": "2026-12-01T00:00:00Z",
}
LEGACY = {
    "id": "mem_1",
    "status": "canceling",
    "user": {"id": "user_1", "email": "ada@example.com", "name": "Ada"},
    "member": {"id": "mber_1"},
    "plan": {"id": "plan_1"},
    "renewal_period_start": "2026-11-01T00:00:00Z",
    "renewal_period_end": "2027-11-01T00:00:00Z",
    "cancel_at_period_end": True,
    "created_at": "2026-11-01T00:00:00Z",
    "metadata": None,
}


@pytest.fixture
def port(settings: Callable[..., Settings], provider: ScriptedProvider) -> WhopPort:
    provider.answers[PATH] = (200, MINIMAL)
    provider.answers[MEMBER] = (200, {"id": "mber_1", "email": "ada@example.com", "user": {"name": "Ada"}})
    return whop.client(settings(whop_api_key="apik_1", whop_api_base=f"{provider.url}/api/v1"))


def test_the_documented_fields_alone_are_enough(port, provider):
    found = port.membership("mem_1")
    assert found
    assert (found.id, found.user_id, found.member_id) == ("mem_1", "user_1", "mber_1")
    assert (found.status, found.plan_duration, found.cancel_at_period_end) == ("active", "monthly", False)
    assert found.period_end == datetime(2026, 12, 1, tzinfo=UTC)
    assert (found.email, found.name) == ("ada@example.com", "Ada")
    sent = {name.lower(): value for name, value in provider.requests[0][1].items()}
    assert (sent["authorization"], sent["api-version-date"]) == ("Bearer apik_1", "2026-10-15-1")


def test_the_older_shape_is_read_and_needs_no_member(port, provider):
    provider.answers[PATH] = (200, LEGACY)
    found = port.membership("mem_1")
    assert found
    assert (found.email, found.name, found.user_id) == ("ada@example.com", "Ada", "user_1")
    assert (found.status, found.plan_duration, found.cancel_at_period_end) == ("active", "yearly", True)
    assert len(provider.requests) == 1


@pytest.mark.parametrize("answer", [(403, {"error": {"type": "forbidden"}}), (404, {}), (200, {"id": "mber_1"})])
def test_an_email_that_may_not_be_read_is_none(port, provider, answer):
    provider.answers[MEMBER] = answer
    found = port.membership("mem_1")
    assert found
    assert (found.id, found.email) == ("mem_1", None)


def test_an_email_that_cannot_be_read_now_is_a_passing_trouble(port, provider):
    provider.answers[MEMBER] = (500, {})
    with pytest.raises(ProviderUnavailable):
        port.membership("mem_1")


@pytest.mark.parametrize("membership_id", ["mem_unknown", ""])
def test_an_unknown_membership_is_none(port, membership_id):
    assert port.membership(membership_id) is None


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"error": {"type": "invalid"}}),
        (401, {"error": {"type": "unauthorized"}}),
        (403, {}),
        (422, b"no json"),
        (500, {}),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, []),
        (200, None),
    ],
    ids=str,
)
def test_an_answer_that_cannot_be_used_is_a_passing_trouble(port, provider, answer):
    provider.answers[PATH] = answer
    with pytest.raises(ProviderUnavailable):
        port.membership("mem_1")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("trialing", "active"),
        ("completed", "active"),
        ("past_due", "active"),
        ("canceled", "inactive"),
        ("expired", "inactive"),
        ("unresolved", "inactive"),
        ("drafted", "inactive"),
        ("some_new_status", "inactive"),
        (None, "inactive"),
        (["active"], "inactive"),
    ],
)
def test_each_status_is_active_or_not(port, provider, status, expected):
    provider.answers[PATH] = (200, MINIMAL | {"status": status})
    found = port.membership("mem_1")
    assert found
    assert found.status == expected


def test_what_is_canceling_ends_with_its_period_whatever_else_is_said(port, provider):
    for said, ends in (({}, True), ({"cancel_at_period_end": False}, False)):
        provider.answers[PATH] = (200, MINIMAL | {"status": "canceling"} | said)
        found = port.membership("mem_1")
        assert found
        assert (found.status, found.cancel_at_period_end) == ("active", ends)


CHANGES = {
    "at the end": lambda port: port.cancel("mem_1", at_period_end=True, idempotency_key="k"),
    "now": lambda port: port.cancel("mem_1", at_period_end=False, idempotency_key="k"),
    "not after all": lambda port: port.uncancel("mem_1"),
    "given back": lambda port: port.reactivate("mem_1"),
}


def answer_changes(provider, *answer):
    for path in (PATH, f"{PATH}/cancel", f"{PATH}/reactivate"):
        provider.answers[path] = answer


def test_what_a_change_sends(port, provider):
    answer_changes(provider, 200, MINIMAL | {"cancel_at_period_end": True})
    for change in CHANGES.values():
        assert change(port).cancel_at_period_end
    assert provider.posted == [
        (f"{PATH}/cancel", {"cancel_at_period_end": True}),
        (f"{PATH}/cancel", {"cancel_at_period_end": False}),
        (PATH, {"cancel_at_period_end": False}),
        (f"{PATH}/reactivate", {}),
    ]
    assert [headers.get("Idempotency-Key") for _, headers in provider.requests] == ["k", "k", None, None]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ((429, {}), ProviderUnavailable),
        ((500, {}), OutcomeUnknown),
        ((200, b"<html>"), OutcomeUnknown),
        ((200, []), OutcomeUnknown),
        ((200, {"no": "id"}), OutcomeUnknown),
        ((400, {"error": {"type": "bad_request", "message": "mem_1 of ada@example.com"}}), ProviderRefused),
        ((403, {"error": {"type": "forbidden"}}), ProviderRefused),
        ((404, {"error": {"type": "not_found"}}), ProviderRefused),
        ((409, b"no json"), ProviderRefused),
    ],
    ids=str,
)
def test_a_change_says_whether_it_may_have_happened(port, provider, change, answer, trouble):
    answer_changes(provider, *answer)
    with pytest.raises(trouble) as raised:
        CHANGES[change](port)
    assert type(raised.value) is trouble
    if trouble is ProviderRefused:
        assert raised.value.passing is (answer[0] == 403)
        assert "ada@example.com" not in f"{raised.value.sentence} {raised.value.reason}"


def test_all_pages_are_walked(port, provider):
    def page(numbers: range, cursor: str | None, more: bool) -> tuple[int, object]:
        info = {"end_cursor": cursor, "start_cursor": None, "has_next_page": more, "has_previous_page": False}
        items = [MINIMAL | {"id": f"mem_{number}"} for number in numbers]
        return 200, {"data": [*items, None, {"no": "id"}], "page_info": info}

    provider.answers[FIRST_PAGE] = page(range(3), "c1", True)
    provider.answers[f"{FIRST_PAGE}&after=c1"] = page(range(3, 5), "c2", True)
    provider.answers[f"{FIRST_PAGE}&after=c2"] = page(range(5, 6), None, False)
    assert [found.id for found in port.memberships()] == [f"mem_{number}" for number in range(6)]


def test_a_cursor_that_stands_still_ends_the_walk(port, provider):
    stuck = {"data": [MINIMAL], "page_info": {"end_cursor": "c1", "has_next_page": True}}
    provider.answers[FIRST_PAGE] = provider.answers[f"{FIRST_PAGE}&after=c1"] = (200, stuck)
    assert len(list(port.memberships())) == 2


def test_a_list_without_paging_is_one_page(port, provider):
    provider.answers[FIRST_PAGE] = (200, {"data": [MINIMAL]})
    assert [found.id for found in port.memberships()] == ["mem_1"]


def test_a_page_that_fails_later_is_no_silent_end(port, provider):
    first = {"data": [MINIMAL], "page_info": {"end_cursor": "c1", "has_next_page": True}}
    provider.answers[FIRST_PAGE] = (200, first)
    provider.answers[f"{FIRST_PAGE}&after=c1"] = (401, {})
    with pytest.raises(ProviderUnavailable):
        list(port.memberships())


@pytest.mark.parametrize("answer", [(404, {}), (200, {}), (200, {"data": {}})], ids=str)
def test_a_list_that_is_none_is_a_passing_trouble(port, provider, answer):
    provider.answers[FIRST_PAGE] = answer
    with pytest.raises(ProviderUnavailable):
        list(port.memberships())


def test_a_server_that_is_off_fails_soon(settings):
    port = whop.client(settings(whop_api_key="k", whop_api_base="http://127.0.0.1:9"))
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        port.membership("mem_1")
    assert time.monotonic() - started < 3


PAYMENT = {
    "id": "pay_1",
    "membership_id": "mem_1",
    "status": "paid",
    "substatus": "succeeded",
    "currency": "usd",
    "total": {"amount": "49.10", "currency": "usd", "decimals": 2, "display_decimals": 2},
    "refunded_amount": {"amount": "0.00", "currency": "usd", "decimals": 2, "display_decimals": 2},
    "refundable": True,
    "created_at": "2026-11-01T00:00:00Z",
    "paid_at": "2026-11-01T00:00:01Z",
}
REFUND = {
    "id": "rf_1",
    "amount": {"amount": "0.07", "currency": "usd", "decimals": 2, "display_decimals": 2},
    "original_amount": {"amount": "0.07", "currency": "usd", "decimals": 2, "display_decimals": 2},
    "payment_id": "pay_1",
    "status": "succeeded",
    "metadata": {"refundId": "12"},
    "created_at": "2026-11-02T00:00:00Z",
}
GIVES_BACK = "/api/v1/payments/pay_1/refund"


def give_back(port):
    return port.refund("pay_1", amount=Decimal("0.07"), reason="duplicate", refund_id=12, idempotency_key="refund-12")


@pytest.mark.parametrize("total", [{"amount": "49.10", "currency": "usd"}, 49.1, "49.10"], ids=str)
def test_a_payment_is_read_exactly_in_either_shape(port, provider, total):
    provider.answers["/api/v1/payments/pay_1"] = (200, PAYMENT | {"total": total})
    found = port.payment("pay_1")
    assert (found.total, found.currency, found.status, found.refundable) == (Decimal("49.10"), "usd", "paid", True)


@pytest.mark.parametrize(
    "changed", [{"total": None}, {"total": "much"}, {"status": None}, {"created_at": "then"}], ids=str
)
def test_a_payment_that_cannot_be_read_is_a_trouble_and_no_gap(port, provider, changed):
    provider.answers["/api/v1/payments/pay_1"] = (200, PAYMENT | changed)
    provider.answers["/api/v1/payments?membership_id=mem_1&first=100"] = (200, {"data": [PAYMENT, PAYMENT | changed]})
    for ask in (lambda: port.payment("pay_1"), lambda: port.payments_of("mem_1")):
        with pytest.raises(ProviderUnavailable):
            ask()


def test_refunds_are_told_oldest_first_with_our_number(port, provider):
    newest = REFUND | {"id": "rf_2", "metadata": None, "status": "pending"}
    provider.answers["/api/v1/refunds?payment_id=pay_1&first=100"] = (200, {"data": [newest, REFUND], "page_info": {}})
    assert [(found.id, found.our_id, found.amount, found.status) for found in port.refunds_of("pay_1")] == [
        ("rf_1", 12, Decimal("0.07"), "succeeded"),
        ("rf_2", None, Decimal("0.07"), "pending"),
    ]


def test_more_refunds_than_a_page_are_not_taken_for_all(port, provider):
    body = {"data": [REFUND], "page_info": {"has_next_page": True, "end_cursor": "x"}}
    provider.answers["/api/v1/refunds?payment_id=pay_1&first=100"] = (200, body)
    with pytest.raises(ProviderUnavailable):
        port.refunds_of("pay_1")


def test_giving_back_says_how_much_under_its_key(port, provider):
    provider.answers[GIVES_BACK] = (200, PAYMENT | {"refunded_amount": {"amount": "0.07", "currency": "usd"}})
    assert give_back(port).refunded == Decimal("0.07")
    path, headers = provider.requests[-1][0], {name.lower(): value for name, value in provider.requests[-1][1].items()}
    assert (path, headers["idempotency-key"]) == (GIVES_BACK, "refund-12")


@pytest.mark.parametrize(
    ("answer", "expected", "passing"),
    [
        ((400, {"error": {"type": "bad_request", "message": "no"}}), ProviderRefused, False),
        ((422, {"error": {"type": "invalid", "code": "not_refundable"}}), ProviderRefused, False),
        ((404, {}), ProviderRefused, False),
        ((403, {}), ProviderRefused, True),
        ((409, {}), OutcomeUnknown, None),
        ((500, {}), OutcomeUnknown, None),
        ((200, b"<html>"), OutcomeUnknown, None),
        ((200, {"id": "pay_1"}), OutcomeUnknown, None),
    ],
    ids=str,
)
def test_what_a_failure_to_give_back_means(port, provider, answer, expected, passing):
    provider.answers[GIVES_BACK] = answer
    with pytest.raises(expected) as error:
        give_back(port)
    assert getattr(error.value, "passing", None) is passing
    assert sum(path == GIVES_BACK for path, *_ in provider.requests) == 1  # never tried again by itself
