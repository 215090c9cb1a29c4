"""The whole product for a test: the web application and the jobs on one database, the providers simulated over HTTP."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from admin_app.config import Settings
from admin_app.context import Job
from admin_app.db import Database
from admin_app.factory import create_app
from admin_app.integrations import registry
from admin_app.integrations.http.guard import Limits
from admin_app.jobs import (
    billing,
    bulk_runs,
    calendars,
    checkouts,
    client_flags,
    comparisons,
    events,
    guests,
    mails,
    memberships,
    people,
    refunds,
)
from admin_app.jobs.bench import Bench
from admin_app.simulator import app as simulated
from admin_app.simulator import control
from admin_app.simulator.mail import mail_server
from admin_app.simulator.settings import SimulatorSettings
from models import Base
from tests.applications import Applications
from tests.changes import CHANGES
from tests.contracts import WATCH
from tests.integrations.signing import (
    CALCOM_SECRET,
    CALENDLY_KEY,
    CLERK_SECRET,
    STRIPE_SECRET,
    WHOP_SECRET,
    calcom_headers,
    calendly_headers,
    clerk_headers,
    stripe_headers,
    whop_headers,
)

BASE_URL = "http://127.0.0.1:8000"
WHOP_KEY = "apik_test"
CLERK_KEY = "sk_test_clerk"
WORKOS_KEY = "sk_test_workos"
WORKOS_CLIENT = "client_test"
STRIPE_KEY = "sk_test_stripe"
CALENDLY_TOKEN = "calendly_test"
CALCOM_API_KEY = "cal_test"

# What each task does with its arguments; `process_event` also wants to know whether it is the last try.
TASKS: dict[str, Callable[..., None]] = {
    "compare_membership": memberships.compare,
    "ask_about_person": people.ask,
    "change_membership": memberships.change,
    "change_address": people.change_address,
    "ask_what_was_paid": memberships.ask_what_was_paid,
    "send_claim_mail": mails.send_claim_mail,
    "send_refund": refunds.send,
    "ask_about_refund": refunds.ask,
    "send_appointment_mail": mails.send_appointment_mail,
    "expire_checkout": checkouts.expire_checkout,
    "settle_call": checkouts.settle_call,
    "follow_refunds": checkouts.follow_refunds,
    "settle_canceled": checkouts.settle_canceled,
    "send_guest_code": guests.send_code,
    "register_guest": guests.register,
    "sync_calendar": calendars.sync_calendar,
    "compare_with": comparisons.compare,
    "settle_finding": comparisons.settle_finding,
    "refresh_billing": billing.refresh,
    "ask_about_billing": billing.ask,
    "ask_about_subscription": billing.ask_about_one,
    "extend_trial": billing.extend_trial,
    "run_bulk": bulk_runs.run,
    "follow_switch": client_flags.follow,
    "send_switch_mail": mails.send_switch_mail,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def simulated_providers(folder: Path, base_url: str = BASE_URL, *, smtp_port: int | None = None) -> Iterator[str]:
    """The address of a simulator that runs while the block does; it tells the product at `base_url`.

    With `smtp_port` it takes mail there too.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = SimulatorSettings(
        own_url=url,
        base_url=base_url,
        whop_api_key=WHOP_KEY,
        whop_webhook_secret=WHOP_SECRET,
        clerk_secret_key=CLERK_KEY,
        clerk_webhook_secret=CLERK_SECRET,
        clerk_issuer=f"{url}/clerk",
        workos_api_key=WORKOS_KEY,
        workos_client_id=WORKOS_CLIENT,
        stripe_secret_key=STRIPE_KEY,
        stripe_webhook_secret=STRIPE_SECRET,
        calendly_token=CALENDLY_TOKEN,
        calendly_webhook_signing_key=CALENDLY_KEY,
        calcom_api_key=CALCOM_API_KEY,
        calcom_webhook_secret=CALCOM_SECRET,
    )
    app = simulated.create_app(settings, folder / "state.sqlite")
    WATCH.over(app)
    CHANGES.over(app)
    mails = mail_server.start(app.extensions["world"].store, smtp_port) if smtp_port else None
    with served(app, port):
        yield url
    if mails is not None:
        mails.stop()
    simulated.close(app)


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One simulator for many tests, which keep apart by the people and memberships they make."""
    with simulated_providers(tmp_path_factory.mktemp("simulator")) as url:
        yield url


@pytest.fixture
def own_simulator(tmp_path: Path) -> Iterator[str]:
    """A simulator that nobody else has put anything into."""
    with simulated_providers(tmp_path) as url:
        yield url


class served:
    """An application behind a real server while the block runs."""

    def __init__(self, app: Flask, port: int) -> None:
        self._server = make_server("127.0.0.1", port, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def settings_for(simulator: str, **changed: Any) -> Settings:
    given: dict[str, Any] = {
        "database_url": "postgresql://nowhere/none",
        "secret_key": "s" * 32,
        "base_url": BASE_URL,
        # Tests that let hundreds act at once are about what they do; no server of so many threads stands before them.
        "web_threads": 1000,
        "web_requests_at_once": 500,
        "whop_api_key": WHOP_KEY,
        "whop_webhook_secret": WHOP_SECRET,
        "whop_api_base": f"{simulator}/whop/api/v1",
        "clerk_issuer": f"{simulator}/clerk",
        "clerk_api_base": f"{simulator}/clerk/v1",
        "clerk_secret_key": CLERK_KEY,
        "clerk_webhook_secret": CLERK_SECRET,
        "clerk_authorized_parties": BASE_URL,
        "clerk_sign_in_url": f"{simulator}/clerk/sign-in",
        "workos_api_key": WORKOS_KEY,
        "workos_client_id": WORKOS_CLIENT,
        "workos_api_base": f"{simulator}/workos",
        "stripe_secret_key": STRIPE_KEY,
        "stripe_webhook_secret": STRIPE_SECRET,
        "stripe_api_base": f"{simulator}/stripe",
        "calendly_token": CALENDLY_TOKEN,
        "calendly_webhook_signing_key": CALENDLY_KEY,
        "calendly_api_base": f"{simulator}/calendly",
        "calcom_api_key": CALCOM_API_KEY,
        "calcom_webhook_secret": CALCOM_SECRET,
        "calcom_api_url": f"{simulator}/calcom",
    }
    return Settings(_env_file=None, **(given | changed))


@dataclass
class House:
    app: Flask
    bench: Bench
    simulator: str

    @property
    def db(self) -> Database:
        return self.bench.db

    def post(self, path: str, *, token: str | None = None, **options: Any) -> TestResponse:
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        return self.app.test_client().post(path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.app.test_client().get(path, **options)

    def whop(self, raw: bytes, *, delivery: str = "msg_1", at: float | None = None, **signed: Any) -> TestResponse:
        """A delivery of Whop's, signed the way its form is."""
        headers = whop_headers(raw, at or time(), delivery=delivery, **signed)
        return self.post("/api/webhooks/whop", data=raw, headers=headers)

    def clerk(self, raw: bytes, *, delivery: str = "msg_1", at: float | None = None, **signed: Any) -> TestResponse:
        headers = clerk_headers(raw, at or time(), delivery=delivery, **signed)
        return self.post("/api/webhooks/clerk", data=raw, headers=headers)

    def stripe(self, event: bytes | dict[str, Any], *, at: float | None = None, **signed: Any) -> TestResponse:
        """A delivery of Stripe's; an event may come as `control_stripe.events` lists it."""
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.post("/api/webhooks/stripe", data=raw, headers=stripe_headers(raw, at or time(), **signed))

    def calendly(self, raw: bytes, *, at: float | None = None, **signed: Any) -> TestResponse:
        return self.post("/api/webhooks/calendly", data=raw, headers=calendly_headers(raw, at or time(), **signed))

    def calcom(self, raw: bytes, **signed: Any) -> TestResponse:
        return self.post("/api/webhooks/calcom", data=raw, headers=calcom_headers(raw, **signed))

    def customer(self, email: str, *, verified: bool = True, name: str = "Max Member") -> tuple[str, str]:
        """Somebody with an account: their id and a session token."""
        person = control.create_user(self.simulator, name=name, email=email, verified=verified)
        return str(person["id"]), control.token(self.simulator, str(person["id"]))

    def work(self, *, last_try: bool = False) -> int:
        """Do the waiting jobs here, in the test's own transaction, each as its task does."""
        done = 0
        while self.work_one(last_try=last_try):
            done += 1
        return done

    def work_one(self, *, last_try: bool = False) -> bool:
        """Do the oldest waiting job; False when there is none."""
        job = self._next_job()
        if job is None:
            return False
        task, arguments = job
        if task == "process_event":
            events.process(self.bench, last_try=last_try, **arguments)
        else:
            TASKS[task](self.bench, **arguments)
        return True

    def _next_job(self) -> tuple[str, dict[str, Any]] | None:
        query = text(
            "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs)"
            " RETURNING task_name, args"
        )
        with self.db.unit_of_work(Job("test")) as ctx:
            row = ctx.session.execute(query).first()
        return (row.task_name, row.args) if row else None

    def rows(self, query: Any) -> list[Any]:
        with self.db.read_only() as session:
            return list(session.scalars(query))

    def count(self, table: type[Base]) -> int:
        with self.db.read_only() as session:
            return session.query(table).count()


# A race on a busy machine is about the race; who finds no room at a provider is tests/faults/test_providers_slow.py.
CROWD = Limits(calls=6, seconds_for_room=60)


def build(simulator: str, db: Database, **changed: Any) -> House:
    """With an application of its own."""
    return _house(create_app, simulator, db, **changed)


def lent(applications: Applications, simulator: str, db: Database, **changed: Any) -> House:
    """With an application that another test had before; the test must not change it."""
    return _house(applications.lend, simulator, db, **changed)


def _house(make: Callable[..., Flask], simulator: str, db: Database, **changed: Any) -> House:
    settings = settings_for(simulator, **changed)
    providers = registry.from_settings(settings, CROWD)
    return House(make(settings, database=db, providers=providers), Bench(db, settings, providers), simulator)


@pytest.fixture
def house(simulator: str, db: Database, applications: Applications) -> House:
    """On one connection; everything is undone after the test."""
    return lent(applications, simulator, db)


@pytest.fixture
def real_house(simulator: str, real_db: Database, applications: Applications) -> House:
    """On a database of its own, with real connections."""
    return lent(applications, simulator, real_db)


class Watch:
    """Looks at something every few milliseconds while the block runs."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self._look()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
