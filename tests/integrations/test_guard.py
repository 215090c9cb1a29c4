"""What every call of a provider passes first: how many may wait, how long, and what is refused before it leaves."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from admin_app.errors import DomainError, OutcomeUnknown, ProviderUnavailable
from admin_app.integrations.http import deadline, transport
from admin_app.integrations.http.circuit import Circuit
from admin_app.integrations.http.guard import Guard, Limits
from admin_app.integrations.http.transport import Patience, Rules
from admin_app.integrations.mail import SmtpMail
from tests.integrations.slow_server import SlowServer, slow_server

TWO = Limits(calls=2, seconds_for_room=0.05)
SECOND = Patience(tries=3, seconds=1, seconds_per_try=1)
LONG = Patience(tries=3, seconds=30, seconds_per_try=20)


_clients = ExitStack()


@pytest.fixture
def server() -> Iterator[SlowServer]:
    with slow_server() as found, _clients:
        yield found


def client(server: SlowServer, patience: Patience = SECOND, guard: Guard | None = None) -> httpx.Client:
    """One that keeps its connection until the test is over."""
    return opened(transport.client(guard or Guard("stripe"), server.url, Rules(reads=patience, writes=patience)))


def opened(one: httpx.Client) -> httpx.Client:
    return _clients.enter_context(one)


def took(call: Any) -> tuple[float, type[DomainError]]:
    """How long it took until it was given up, and as what."""
    began = time.monotonic()
    with pytest.raises(DomainError) as given_up:
        call()
    return time.monotonic() - began, type(given_up.value)


@pytest.mark.parametrize("way", ["silent", "drips the head", "drips the body"])
def test_a_call_ends_in_its_total_time_however_it_is_slow(server, way):
    server.way = way
    seconds, error = took(lambda: client(server).get(f"{server.url}/x"))
    assert error is ProviderUnavailable
    assert 0.9 < seconds < 3
    seconds, error = took(lambda: client(server).post(f"{server.url}/x", json={}))
    assert error is OutcomeUnknown
    assert seconds < 3
    assert server.taken == 2, "neither has time for a second try"


@pytest.mark.parametrize("way", ["silent", "drips the head", "drips the body"])
def test_what_is_left_of_the_request_bounds_it_as_well(server, way):
    server.way = way
    with deadline.within(0.6):
        seconds, error = took(lambda: client(server, LONG).post(f"{server.url}/x", json={}))
        assert (error, seconds < 3) == (OutcomeUnknown, True)
        # With nothing left the next one does not leave, and that is certain.
        seconds, error = took(lambda: client(server, LONG).post(f"{server.url}/x", json={}))
        assert (error, seconds < 3, server.taken) == (ProviderUnavailable, True, 1)


def test_a_slow_but_well_server_is_read_to_its_end(server):
    server.way, server.pause = "drips the body", 0.001
    assert client(server, LONG).get(f"{server.url}/x").json() == {"ok": True}


def test_an_answer_without_an_end_is_given_up(server, monkeypatch):
    server.way = "answers"
    monkeypatch.setattr(transport, "LARGEST_ANSWER", 100)
    assert took(lambda: client(server).post(f"{server.url}/x", json={}))[1] is OutcomeUnknown


def test_whoever_finds_no_room_is_refused_at_once_and_told_when_to_come(server):
    guard, refused = Guard("stripe", TWO), []
    through = client(server, SECOND, guard)

    def call() -> None:
        with pytest.raises(ProviderUnavailable):
            through.get(f"{server.url}/x")

    waiting = [threading.Thread(target=call) for _ in range(2)]
    for thread in waiting:
        thread.start()
    while server.taken < 2:
        time.sleep(0.01)
    for _ in range(5):
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable) as error:
            through.post(f"{server.url}/x", json={})
        refused.append((time.monotonic() - began < 0.5, type(error.value), (error.value.retry_after or 0) > 0))
    assert refused == [(True, ProviderUnavailable, True)] * 5
    for thread in waiting:
        thread.join()
    assert server.taken == 2, "what was refused never left"
    server.way = "answers"
    assert through.get(f"{server.url}/x").json() == {"ok": True}


def test_a_place_is_given_back_whatever_happens():
    guard = Guard("stripe", TWO)
    for error in (ProviderUnavailable("stripe"), ValueError(), KeyboardInterrupt()) * 3:
        with pytest.raises(type(error)), guard.call(1):
            raise error
    with ExitStack() as both:
        both.enter_context(guard.call(1))
        both.enter_context(guard.call(1))
        with pytest.raises(ProviderUnavailable), guard.call(1):
            pytest.fail("a third one is in")


def test_while_the_circuit_is_open_nobody_is_kept(server):
    guard = Guard("stripe", TWO, circuit=Circuit(failures=2, rest_seconds=40))
    through = client(server, Patience(tries=1, seconds=0.1, seconds_per_try=0.1), guard)
    for _ in range(2):
        took(lambda: through.get(f"{server.url}/x"))
    with pytest.raises(ProviderUnavailable) as error:
        through.post(f"{server.url}/x", json={})
    assert 30 < (error.value.retry_after or 0) <= 40
    assert server.taken == 2


def test_a_time_out_for_which_there_was_no_time_is_not_the_providers(server):
    guard = Guard("stripe", circuit=Circuit(failures=1))
    for _ in range(3):
        with deadline.within(0.1):
            took(lambda: client(server, LONG, guard).get(f"{server.url}/x"))
    server.way = "answers"
    assert client(server, LONG, guard).get(f"{server.url}/x").is_success


def test_an_inner_end_is_never_later_than_the_outer_one():
    assert deadline.remaining() is None
    with deadline.within(5):
        with deadline.within(60):
            assert (deadline.remaining() or 0) <= 5
            assert deadline.clipped(2) == 2
            assert (deadline.clipped(100) or 0) <= 5
        with deadline.within(1):
            assert (deadline.remaining() or 0) <= 1
    assert deadline.remaining() is None
    assert deadline.clipped(3) == 3


def test_a_name_that_is_looked_up_for_ever_ends_in_time(server, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20))
    through = opened(transport.client(Guard("stripe"), "http://slow.example", Rules(writes=SECOND)))
    seconds, error = took(lambda: through.post("http://slow.example/x", json={}))
    over.set()
    assert (error, seconds < 15) == (ProviderUnavailable, True)


def test_a_name_with_several_addresses_is_tried_at_each(server, monkeypatch):
    port = int(server.url.rpartition(":")[2])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.9", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", _only("two.example", found))
    server.way = "answers"
    through = opened(transport.client(Guard("stripe"), "http://two.example", Rules(reads=SECOND)))
    assert through.get(f"http://two.example:{port}/x").json() == {"ok": True}


def _only(name: str, found: list[Any]) -> Any:
    plain = socket.getaddrinfo
    return lambda host, *more, **options: found if host == name else plain(host, *more, **options)


class TestMail:
    def test_a_mail_server_that_drips_is_left_in_time(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            threading.Thread(target=self.drip, args=[listening], daemon=True).start()
            url = f"smtp://127.0.0.1:{listening.getsockname()[1]}"
            mail = SmtpMail(url, "Backdesk <b@example.com>", Guard("mail"), seconds=1)
            seconds, error = took(lambda: mail.send("a@example.com", "Hello", "text", "<p>text</p>"))
        assert (error, seconds < 4) == (ProviderUnavailable, True)

    @staticmethod
    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            try:
                while True:
                    connection.sendall(b"2")
                    time.sleep(0.1)
            except OSError:
                return

    def test_one_that_is_off_is_not_asked_for_a_while_but_one_that_says_no_is(self):
        mail = SmtpMail("smtp://127.0.0.1:9", "Backdesk <b@example.com>", Guard("mail", circuit=Circuit(failures=2)))
        for _ in range(3):
            took(lambda: mail.send("a@example.com", "Hello", "text", "<p>text</p>"))
        assert mail._guard._circuit.resting() > 0
