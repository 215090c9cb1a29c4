"""How long a provider without an SDK is waited for, and what each of its failures means."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from admin_app.errors import DomainError, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.http.circuit import LONGEST_REST_SECONDS, Circuit
from admin_app.integrations.http.guard import Guard
from admin_app.integrations.http.memory import Memory
from admin_app.integrations.http.provider_http import ProviderHttp
from admin_app.integrations.http.transport import Patience
from tests.integrations.conftest import ScriptedProvider

HASTY = Patience(seconds=1, seconds_per_try=0.2)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def http(provider: ScriptedProvider, waits: list[float]) -> ProviderHttp:
    reason_of = lambda body: (body or {}).get("code")  # noqa: E731
    return ProviderHttp(Guard("calcom"), provider.url, "key_1", reason_of=reason_of, sleep=waits.append)


def failure(call: Any) -> DomainError:
    with pytest.raises(DomainError) as refused:
        call()
    return refused.value


def test_a_read_is_answered_with_the_key(http, provider):
    provider.answers["/x?a=1"] = (200, {"ok": True})
    assert http.get("/x", {"a": "1"}, headers={"cal-api-version": "v"}) == {"ok": True}
    (_, headers) = provider.requests[0]
    assert (headers["Authorization"], headers["cal-api-version"]) == ("Bearer key_1", "v")


def test_nothing_there_is_none(http):
    assert http.get("/x") is None


@pytest.mark.parametrize("trouble", [(500, {}), (503, b"busy"), (429, {}), (502, b"")], ids=str)
def test_a_read_is_tried_again_after_growing_random_waits(http, provider, waits, trouble):
    provider.answers["/x"] = [trouble, trouble, (200, {"ok": True})]
    assert http.get("/x") == {"ok": True}
    assert len(waits) == 2
    assert 0 <= waits[0] <= 0.25
    assert 0 <= waits[1] <= 0.5


def test_after_three_tries_it_is_given_up(http, provider, waits):
    provider.answers["/x"] = (500, {})
    assert type(failure(lambda: http.get("/x"))) is ProviderUnavailable
    assert (len(provider.requests), len(waits)) == (3, 2)


def test_retry_after_is_waited_for(http, provider, waits):
    provider.answers["/x"] = [(429, {}, {"Retry-After": "2"}), (200, {})]
    assert http.get("/x") == {}
    assert waits == [2.0]


@pytest.mark.parametrize("as_date", [False, True])
def test_nobody_waits_for_a_minute_and_nobody_asks_meanwhile(provider, waits, as_date):
    clock = Clock()
    stated = format_datetime(datetime.now(UTC) + timedelta(seconds=70), usegmt=True) if as_date else "60"
    guard = Guard("calcom", circuit=Circuit(clock=clock))
    http = ProviderHttp(guard, provider.url, "k", reason_of=lambda _: None, sleep=waits.append)
    provider.answers["/x"] = [(429, {}, {"Retry-After": stated}), (200, {"ok": True})]
    failure(lambda: http.get("/x"))
    assert (waits, len(provider.requests)) == ([], 1)
    clock.now += 50
    failure(lambda: http.get("/x"))
    assert len(provider.requests) == 1
    clock.now += 40
    assert http.get("/x") == {"ok": True}


@pytest.mark.parametrize("stated", ["", "soon", "-1", "9" * 30, "Wed, 99 Foo 2027 10:00:00 GMT"], ids=repr)
def test_a_retry_after_that_says_nothing_is_none(http, provider, waits, stated):
    provider.answers["/x"] = [(429, {}, {"Retry-After": stated}), (200, {})]
    assert http.get("/x") == {}
    assert waits[0] <= 0.25


def test_a_slow_provider_is_left_in_time(provider):
    http = ProviderHttp(Guard("calcom"), provider.url, "k", reason_of=lambda _: None, reads=HASTY, writes=HASTY)
    provider.answers["/x"], provider.delay = (200, {}), 1
    started = time.monotonic()
    assert type(failure(lambda: http.get("/x"))) is ProviderUnavailable
    assert time.monotonic() - started < 2
    assert type(failure(lambda: http.post("/x", {}))) is OutcomeUnknown
    assert len(provider.posted) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "tries"),
    [
        ((500, {}), OutcomeUnknown, 1),
        ((503, b"busy"), OutcomeUnknown, 1),
        ((200, b"<html>"), OutcomeUnknown, 1),
        ((302, {}), OutcomeUnknown, 1),
        ((429, {}), ProviderUnavailable, 3),
        ((400, {"code": "no_room"}), ProviderRefused, 1),
        ((404, {"code": "no_room"}), ProviderRefused, 1),
    ],
    ids=str,
)
def test_a_write_is_sent_again_only_when_nothing_happened(http, provider, answer, kind, tries):
    provider.answers["/x"] = answer
    assert type(failure(lambda: http.post("/x", {"a": 1}))) is kind
    assert provider.posted == [("/x", {"a": 1})] * tries


def test_a_server_that_is_off_is_certain(waits):
    http = ProviderHttp(Guard("calcom"), "http://127.0.0.1:9", "k", reason_of=lambda _: None, sleep=waits.append)
    assert type(failure(lambda: http.post("/x", {}))) is ProviderUnavailable
    assert type(failure(lambda: http.get("/x"))) is ProviderUnavailable


@pytest.mark.parametrize("base", ["", "nowhere", "http://[", "ftp://127.0.0.1"])
def test_an_address_that_is_none_is_no_bug(base, waits):
    http = ProviderHttp(Guard("calcom"), base, "k", reason_of=lambda _: None, sleep=waits.append)
    assert type(failure(lambda: http.get("/x"))) is ProviderUnavailable


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"code": "no_room"}, "no_room"),
        ({"code": "bea@example.com is busy"}, "http_400"),
        ({"code": "x" * 100}, "http_400"),
        ({}, "http_400"),
        (b"<html>", "http_400"),
    ],
    ids=str,
)
def test_a_refusal_has_a_code_and_never_a_sentence_of_theirs(http, provider, body, reason):
    provider.answers["/x"] = (400, body)
    refused = failure(lambda: http.get("/x"))
    assert isinstance(refused, ProviderRefused)
    assert refused.reason == reason
    assert "example" not in refused.sentence


def test_the_circuit_opens_and_lets_one_try_after_a_rest(provider, waits):
    clock = Clock()
    circuit = Circuit(failures=2, rest_seconds=30, clock=clock)
    guard = Guard("calcom", circuit=circuit)
    http = ProviderHttp(guard, provider.url, "k", reason_of=lambda _: None, sleep=waits.append)
    provider.answers["/x"] = (500, {})
    for _ in range(5):
        failure(lambda: http.get("/x"))
    assert len(provider.requests) == 6
    clock.now += 31
    failure(lambda: http.get("/x"))
    failure(lambda: http.get("/x"))
    assert len(provider.requests) == 9
    clock.now += 31
    provider.answers["/x"] = (200, {})
    for _ in range(3):
        assert http.get("/x") == {}
    assert circuit.resting() == 0


def test_while_one_tries_the_others_are_kept_out():
    clock = Clock()
    circuit = Circuit(failures=1, rest_seconds=30, clock=clock)
    circuit.failed(circuit.admit())
    assert circuit.admit() is None
    clock.now += 30
    probe = circuit.admit()
    assert probe is not None
    assert circuit.admit() is None
    circuit.succeeded(probe)
    assert None not in (circuit.admit(), circuit.admit())


def test_a_rest_has_an_end():
    clock = Clock()
    circuit = Circuit(clock=clock)
    circuit.failed(circuit.admit(), asked_to_wait=10_000_000)
    clock.now += LONGEST_REST_SECONDS
    assert circuit.admit() is not None


def test_what_left_before_it_opened_does_not_close_it():
    clock = Clock()
    circuit = Circuit(failures=1, rest_seconds=30, clock=clock)
    early, bad = circuit.admit(), circuit.admit()
    circuit.failed(bad)
    circuit.succeeded(early)
    assert circuit.admit() is None
    clock.now += 30
    probe = circuit.admit()
    circuit.succeeded(early)
    assert circuit.admit() is None
    circuit.succeeded(probe)
    assert circuit.admit() is not None


def test_a_refusal_does_not_open_the_circuit(http, provider):
    provider.answers["/x"] = (400, {})
    for _ in range(10):
        failure(lambda: http.post("/x", {}))
    assert len(provider.posted) == 10


def test_a_memory_is_bounded_in_age_and_number():
    clock = Clock()
    memory: Memory[int, str] = Memory(seconds=10, size=3, clock=clock)
    for number in range(5):
        memory.put(number, str(number))
    assert [memory.get(number) for number in range(5)] == [None, None, "2", "3", "4"]
    clock.now += 9
    memory.put(2, "again")
    clock.now += 1
    assert [memory.get(number) for number in (2, 3, 4)] == ["again", None, None]
