"""The faults that are injected into the running product: each begins, lasts, and is over."""

import random
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
from sqlalchemy import text

from admin_app.integrations import job_queue
from admin_app.services.core.audit import CHAIN_LOCK
from admin_app.simulator import control
from models import WebhookEvent
from tests.faults.product import HARNESS, WORKERS, Product
from tests.faults.proxy import Mode
from tests.services.factories import OPERATOR

BACKLOG = 5_000
NOBODY = 1_000_000_000
COPIES = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, args, priority, scheduled_at)
    SELECT queue_name, task_name, args, priority, scheduled_at FROM procrastinate_jobs, generate_series(1, :copies)
    WHERE id = (SELECT max(id) FROM procrastinate_jobs WHERE args ->> 'change_id' = :nobody)
"""
PROVIDERS = ("whop", "clerk", "stripe", "calcom")
Inject = Callable[[Product, random.Random], AbstractContextManager[None]]


@dataclass(frozen=True)
class Scenario:
    """`sentence` completes "now …". `seconds`: how long it lasts at its best; `least`: what it needs to mean anything.

    `stops_web`: nothing listens for a moment. `stops_database`: /health may say 503.
    """

    name: str
    sentence: str
    inject: Inject
    seconds: float
    least: float = 3
    stops_web: bool = False
    stops_database: bool = False


@contextmanager
def _proxied(product: Product, chance: random.Random, *, mode: Mode, seconds: float = 0.0) -> Iterator[None]:
    after, direction = chance.randrange(1, 4000), chance.choice(("to server", "to client"))
    product.proxy.behave(mode, after=after, direction=direction, seconds=seconds)  # type: ignore[arg-type]
    try:
        yield
    finally:
        product.proxy.behave("pass")


@contextmanager
def _killed(product: Product, chance: random.Random, *, program: str) -> Iterator[None]:
    name = chance.choice(WORKERS) if program == "worker" else program
    product.kill(name)
    try:
        yield
    finally:
        product.run(name)


@contextmanager
def _one_server_killed(product: Product, _chance: random.Random) -> Iterator[None]:
    product.kill_one_server()
    yield


@contextmanager
def _frozen(product: Product, chance: random.Random) -> Iterator[None]:
    name = chance.choice(WORKERS)
    product.signal(name, signal.SIGSTOP)
    try:
        yield
    finally:
        product.signal(name, signal.SIGCONT)


@contextmanager
def _connections_ended(product: Product, chance: random.Random) -> Iterator[None]:
    """Some of the product's connections, again and again, as an administrator or a failover ends them."""
    over = threading.Event()

    def end() -> None:
        while not over.wait(chance.uniform(0.1, 0.6)):
            product.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = current_user AND application_name <> %s AND random() < 0.5",
                HARNESS,
            )

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _chain_held(product: Product, _chance: random.Random) -> Iterator[None]:
    """A process that froze in the middle of a command: its transaction holds what every command needs."""
    with product.connection() as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [CHAIN_LOCK])
        yield


@contextmanager
def _connections_used_up(product: Product, _chance: random.Random) -> Iterator[None]:
    """Others take every connection that the server has left."""
    taken: list[psycopg.Connection[dict[str, object]]] = []
    try:
        while len(taken) < 400:
            taken.append(product.connection())
    except psycopg.OperationalError:
        pass
    try:
        yield
    finally:
        for connection in taken:
            connection.close()


@contextmanager
def _poisoned(product: Product, _chance: random.Random) -> Iterator[None]:
    """A delivery at which every try fails; it ends in the inbox, where a person sees it."""
    with product.database() as database, database.unit_of_work(OPERATOR) as ctx:
        event = WebhookEvent(provider="poison", external_id=uuid.uuid4().hex, type="poison", body=b"")
        ctx.session.add(event)
        ctx.session.flush()
        job_queue.defer(ctx.session, "process_event", event_id=event.id)
    yield


@contextmanager
def _backlog(product: Product, _chance: random.Random) -> Iterator[None]:
    """As many switches end at one moment: before everything that comes now, and nobody waits for them."""
    with product.database() as database, database.unit_of_work(OPERATOR) as ctx:
        job_queue.defer(ctx.session, "follow_switch", at=ctx.now, change_id=NOBODY)
        ctx.session.execute(text(COPIES), {"copies": BACKLOG - 1, "nobody": str(NOBODY)})
    yield


@contextmanager
def _provider(product: Product, chance: random.Random, *, mode: str) -> Iterator[None]:
    for provider in PROVIDERS:
        control.fault(product.simulator, provider, mode, times=30, seconds=chance.randint(2, 8))
    try:
        yield
    finally:
        for provider in PROVIDERS:
            control.fault(product.simulator, provider, "off")


def _database(name: str, sentence: str, mode: Mode, **more: float) -> Scenario:
    return Scenario(name, sentence, partial(_proxied, mode=mode, **more), seconds=10, stops_database=True)


def _providers(name: str, sentence: str, mode: str) -> Scenario:
    return Scenario(name, sentence, partial(_provider, mode=mode), seconds=10)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("web killed", "the web server is killed by kill -9 and started again",
             partial(_killed, program="web"), seconds=3, stops_web=True),
    Scenario("one server killed", "one process of the web server is killed by kill -9",
             _one_server_killed, seconds=3),
    Scenario("worker killed", "a worker is killed by kill -9 in the middle of its work and started again",
             partial(_killed, program="worker"), seconds=5),
    Scenario("worker frozen", "a worker is frozen, and goes on later as if nothing had been",
             _frozen, seconds=60, least=5),
    _database("database refused", "the database refuses every connection", "refuse"),
    _database("database hung", "the database takes packets and answers none", "hang"),
    _database("connections reset", "every connection to the database is reset", "reset"),
    _database("connections cut", "connections to the database are cut in the middle of a message", "cut"),
    Scenario("database slow", "every packet from and to the database takes 50 ms longer",
             partial(_proxied, mode="latency", seconds=0.05), seconds=10),
    Scenario("connections ended", "connections of the database are ended at random (pg_terminate_backend)",
             _connections_ended, seconds=8, stops_database=True),
    Scenario("chain held", "a frozen process holds the lock of the audit, which every command needs",
             _chain_held, seconds=12),
    Scenario("connections used up", "others have taken every connection that the database has",
             _connections_used_up, seconds=8, stops_database=True),
    Scenario("poison", "a delivery arrives at which every try fails", _poisoned, seconds=3),
    Scenario("backlog", f"{BACKLOG:,} jobs that nobody waits for are queued at once", _backlog, seconds=5, least=5),
    _providers("providers slow", "every provider takes seconds to answer", "slow"),
    _providers("providers drop calls", "every provider breaks connections before it acts", "reset"),
    _providers("providers drop answers", "every provider acts and then breaks the connection", "apply-then-drop"),
    _providers("providers fail late", "every provider acts and then answers with an error", "apply-then-500"),
    _providers("providers limit", "every provider answers that there are too many calls", "429"),
)  # fmt: skip
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
