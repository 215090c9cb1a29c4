"""The proxy does to a database connection what its modes say."""

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
def proxy(worker_database_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(worker_database_url).port or 0) as running:
        yield running


@pytest.fixture
def url(worker_database_url: str, proxy: Proxy) -> str:
    parts = urlsplit(worker_database_url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}").geturl()


def connected(url: str) -> psycopg.Connection[tuple[int]]:
    return psycopg.connect(url, autocommit=True, connect_timeout=5)


def answers(connection: psycopg.Connection[tuple[int]]) -> bool:
    return connection.execute("SELECT 1").fetchone() == (1,)


def test_it_passes_and_counts(url: str, proxy: Proxy) -> None:
    with connected(url) as one, connected(url) as other:
        assert answers(one)
        assert answers(other)
        assert (proxy.accepted, proxy.open_connections) == (2, 2)


@pytest.mark.parametrize("mode", ["refuse", "reset"])
def test_it_cuts_what_is_there_and_takes_nothing_new(url: str, proxy: Proxy, mode: str) -> None:
    with connected(url) as connection:
        proxy.behave(mode)  # type: ignore[arg-type]
        with pytest.raises(psycopg.OperationalError):
            answers(connection)
    with pytest.raises(psycopg.OperationalError):
        connected(url)
    proxy.behave("pass")
    with connected(url) as connection:
        assert answers(connection)


def test_it_keeps_packets_and_sends_them_on(url: str, proxy: Proxy) -> None:
    with connected(url) as connection:
        proxy.behave("hang")
        answered = threading.Event()
        asking = threading.Thread(target=lambda: answers(connection) and answered.set())
        asking.start()
        assert not answered.wait(0.3)
        proxy.behave("pass")
        assert answered.wait(10)
        asking.join()


@pytest.mark.parametrize("direction", ["to server", "to client"])
def test_it_cuts_at_a_byte(url: str, proxy: Proxy, direction: str) -> None:
    with connected(url) as connection:
        proxy.behave("cut", after=10, direction=direction)  # type: ignore[arg-type]
        with pytest.raises(psycopg.OperationalError):
            answers(connection)


def test_it_is_slow(url: str, proxy: Proxy) -> None:
    with connected(url) as connection:
        proxy.behave("latency", seconds=0.2)
        began = time.monotonic()
        assert answers(connection)
        assert time.monotonic() - began >= 0.4  # there and back
