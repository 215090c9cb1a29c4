"""Steady signed traffic, and a ledger of what the product has said yes to.

Providers try each delivery until it is taken, and some deliveries twice and in the wrong order; customers sign in and
claim; clients book and pay. Who gets no answer asks again.
"""

import itertools
import json
import queue
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx
from sqlalchemy.exc import SQLAlchemyError

from admin_app.errors import PlanMoved
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from tests.faults import business, whop
from tests.faults.product import Product
from tests.integrations.signing import stripe_headers, whop_headers

PURCHASES_A_SECOND, CUSTOMERS_A_SECOND = 3.0, 0.5
SENDERS = CUSTOMERS = 3
ANSWER_SECONDS = 15.0
NO_ANSWER_WAIT_SECONDS = 0.5


@dataclass(frozen=True)
class Delivery:
    provider: str
    id: str
    body: bytes

    @classmethod
    def of(cls, provider: str, event: dict[str, Any]) -> "Delivery":
        return cls(provider, event["id"], json.dumps(event).encode())

    def headers(self) -> dict[str, str]:
        if self.provider == "whop":
            return whop_headers(self.body, time.time(), delivery=self.id)
        return stripe_headers(self.body, time.time())


@dataclass
class Ledger:
    """What was answered with a yes, by its id, and how often something was sent or asked."""

    acknowledged: dict[tuple[str, str], int] = field(default_factory=dict)
    buyers: dict[str, str] = field(default_factory=dict)
    claimed: dict[str, str] = field(default_factory=dict)
    booked: dict[int, str] = field(default_factory=dict)
    paid: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    mails: dict[str, tuple[str, str]] = field(default_factory=dict)


class Traffic:
    """Runs in threads while the block does; `pause` leaves what is under way to come to its end."""

    def __init__(self, product: Product, seed: int, practitioners: list[tuple[int, int]]) -> None:
        self.ledger = Ledger()
        self._product, self._practitioners = product, practitioners
        self._random, self._numbers = random.Random(seed), itertools.count(1)
        self._run = f"{seed}-{int(time.time())}"
        self._waiting: queue.Queue[Delivery] = queue.Queue()
        self._lock, self._over, self._paused = threading.Lock(), threading.Event(), threading.Event()
        makers = [self._purchases, self._mailbox, *[self._customers] * CUSTOMERS, *[self._send] * SENDERS]
        self._threads = [threading.Thread(target=self._guarded, args=(work,), daemon=True) for work in makers]
        self.broke: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def pause(self) -> None:
        self._paused.set()

    @property
    def undelivered(self) -> int:
        """Deliveries that nobody has taken yet."""
        return self._waiting.unfinished_tasks

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except Exception as error:
            self.broke.append(f"the harness itself broke in {work.__name__}: {error!r}")

    # -- providers -------------------------------------------------------------------------------------------------

    def _purchases(self) -> None:
        while not self._over.wait(self._random.expovariate(PURCHASES_A_SECOND)):
            if not self._paused.is_set():
                self._buy()

    def _buy(self) -> None:
        number = f"{self._run}-{next(self._numbers)}"
        email, now = f"buyer-{number}@example.com", datetime.now(UTC)
        begins = Delivery.of("whop", whop.activated(number, email, at=now))
        ends = Delivery.of("whop", whop.deactivated(number, at=now - timedelta(minutes=1)))
        self.ledger.buyers[email] = number
        match self._random.random():
            case chance if chance < 0.15:
                self._told("out of order", ends, begins)
            case chance if chance < 0.4:
                self._told("duplicate", begins, begins)
            case _:
                self._told("purchase", begins)

    def _told(self, kind: str, *deliveries: Delivery) -> None:
        self.ledger.counts[kind] += 1
        for delivery in deliveries:
            self._waiting.put(delivery)

    def _send(self) -> None:
        with httpx.Client(timeout=ANSWER_SECONDS) as client:
            while not self._over.is_set():
                try:
                    delivery = self._waiting.get(timeout=0.2)
                except queue.Empty:
                    continue
                while not self._taken(client, delivery) and not self._over.wait(NO_ANSWER_WAIT_SECONDS):
                    self.ledger.counts["try"] += 1
                self._waiting.task_done()

    def _taken(self, client: httpx.Client, delivery: Delivery) -> bool:
        path = f"{self._product.url}/api/webhooks/{delivery.provider}"
        try:
            answer = client.post(path, content=delivery.body, headers=delivery.headers())
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            return False
        with self._lock:
            key = (delivery.provider, delivery.id)
            self.ledger.acknowledged[key] = self.ledger.acknowledged.get(key, 0) + 1
        return True

    # -- customers and clients -------------------------------------------------------------------------------------

    def _customers(self) -> None:
        with httpx.Client(timeout=45) as client:
            while not self._over.wait(self._random.expovariate(CUSTOMERS_A_SECOND)):
                if self._paused.is_set():
                    continue
                match self._random.random():
                    case chance if chance < 0.5:
                        self._claim(client)
                    case chance if chance < 0.9:
                        self._book(client)
                    case _:
                        self._refund()

    def _claim(self, client: httpx.Client) -> None:
        told = [
            email
            for email, number in list(self.ledger.buyers.items())
            if ("whop", f"msg_on_{number}") in self.ledger.acknowledged and email not in self.ledger.claimed
        ]
        if not told:
            return
        email = self._random.choice(told)
        person = control.create_user(self._product.simulator, name="Petra Pro", email=email)
        while not self._over.is_set():
            token = control.token(self._product.simulator, str(person["id"]))
            answer = self._asked(client, "profiles/sign-in", {}, {"Authorization": f"Bearer {token}"})
            if answer is not None and answer.status_code == 200:
                self.ledger.claimed[email] = str(person["id"])
                return
            self._over.wait(NO_ANSWER_WAIT_SECONDS)

    def _book(self, client: httpx.Client) -> None:
        """A time of its own each; who gets no answer leaves it, and its hold lapses."""
        number = next(self._numbers)
        practitioner_id, session_type_id = self._practitioners[number % len(self._practitioners)]
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        wish = {
            "practitioner_id": practitioner_id,
            "session_type_id": session_type_id,
            "starts_at": (midnight + timedelta(days=2, hours=number)).isoformat(),
            "client_name": "Cleo Client",
            "client_email": f"client-{self._run}-{number}@example.com",
        }
        address = {"X-Forwarded-For": f"10.{self._random.randrange(250)}.{self._random.randrange(250)}.7"}
        answer = self._asked(client, "bookings", wish, address)
        if answer is None or answer.status_code != 201:
            self.ledger.counts["booking not answered"] += 1
            return
        made = answer.json()
        self.ledger.booked[made["booking"]["id"]] = session_id = made["checkout_url"].rpartition("/")[2]
        control_stripe.pay(self._product.simulator, session_id, deliver=False)
        self.ledger.paid.add(made["booking"]["id"])
        for event in control_stripe.events(self._product.simulator, session_id):
            self._waiting.put(Delivery.of("stripe", event))

    def _refund(self) -> None:
        """Finance works past the proxy: what fails or comes too late for a person is no fault of the traffic."""
        with suppress(SQLAlchemyError, PlanMoved):
            self.ledger.counts["refund"] += business.refund_one(self._product)

    def _asked(
        self, client: httpx.Client, path: str, content: dict[str, Any], headers: dict[str, str]
    ) -> httpx.Response | None:
        try:
            return client.post(f"{self._product.url}/api/{path}", json=content, headers=headers)
        except httpx.TransportError:
            return None

    def _mailbox(self) -> None:
        """The mail server keeps the latest only."""
        while not self._over.wait(3):
            self.look_at_mails()

    def look_at_mails(self) -> None:
        for mail in control.mails(self._product.simulator):
            self.ledger.mails[mail["id"]] = (mail["to"], mail["subject"])
