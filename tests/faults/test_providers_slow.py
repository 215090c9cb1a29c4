"""A provider that takes 25 s for an answer holds a few threads for a few seconds, and nothing of the rest."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from admin_app.config import Settings
from admin_app.db import Database, utc_now
from admin_app.integrations.http.guard import WEB
from admin_app.jobs import checkouts
from admin_app.services import staff
from admin_app.simulator import control
from admin_app.simulator.stripe import control_stripe
from models import Booking, BookingStatus, CallState, Payment, PaymentState, ProviderCall, Role, SessionType
from tests.faults.pauses import Pauses
from tests.house import House, build, free_port, settings_for
from tests.integrations.signing import stripe_headers
from tests.programs import ROOT, wait_for
from tests.public.test_bookings import ALWAYS, wish
from tests.services.diary import offered, tomorrow
from tests.services.factories import OPERATOR

CROWD = 10
PASSWORD = "a long enough pass phrase"
TOTAL_SECONDS = 4.0
SLOW_SECONDS = 25
# How much longer anything may take than on the same machine while Stripe is well.
PROMPT_SECONDS = 2.0


@dataclass
class Site:
    house: House
    url: str
    pauses: Pauses

    def post(self, path: str, wanted: object) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=wanted, timeout=60, trust_env=False)


@pytest.fixture
def simulator(own_simulator: str) -> str:
    return own_simulator


@pytest.fixture
def site(simulator: str, fresh_database_url: str, tmp_path: Path) -> Iterator[Site]:
    """The product behind gunicorn, with a few seconds for the providers of a request."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    given = {"database_url": fresh_database_url, "base_url": url, "provider_seconds": TOTAL_SECONDS}
    db = Database.from_settings(settings_for(simulator, **given))
    with gunicorn(settings_for(simulator, **given), port, tmp_path / "web.log"), Pauses() as pauses:
        yield Site(build(simulator, db, **given), url, pauses)
    db.dispose()


@contextmanager
def gunicorn(settings: Settings, port: int, log: Path) -> Iterator[None]:
    said = settings.model_dump(exclude_unset=True)
    environment = os.environ | {name.upper(): str(value) for name, value in said.items() if isinstance(value, str)}
    environment |= {"PROVIDER_SECONDS": str(settings.provider_seconds)}
    bind = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "16", "--graceful-timeout", "1"]
    command = [sys.executable, "-m", "gunicorn", "tests.faults.quick_to_recover:app", *bind]
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        wait_for(lambda: _is_up(server, port, log), "the web server")
        yield
    finally:
        server.terminate()
        server.wait(20)


def _is_up(server: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    assert server.poll() is None, log.read_text()[-4000:]
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


@dataclass
class Asked:
    """What came back for one booking."""

    status: int
    code: str
    retry_after: str
    seconds: float


@dataclass
class Watch:
    """Asks for other things all the while; keeps the longest time that each took while the machine was awake."""

    asks: dict[str, Callable[[], httpx.Response]]
    pauses: Pauses
    longest: dict[str, float] = field(default_factory=dict)
    wrong: list[tuple[str, int]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()
        threads = [threading.Thread(target=self._ask, args=[name, ask, over]) for name, ask in self.asks.items()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _ask(self, name: str, ask: Callable[[], httpx.Response], over: threading.Event) -> None:
        while not over.wait(0.3):
            began = time.monotonic()
            answer = ask()
            self.longest[name] = max(self.longest.get(name, 0.0), self.pauses.took(began))
            if answer.status_code != 200:
                self.wrong.append((name, answer.status_code))


def book(site: Site, kind: SessionType, starts: datetime, who: int) -> Asked:
    began = time.monotonic()
    answer = site.post("/api/bookings", wish(kind, starts, client_email=f"client{who}@example.com"))
    told, seconds = answer.json(), site.pauses.took(began)
    return Asked(answer.status_code, str(told.get("code")), answer.headers.get("Retry-After", ""), seconds)


def all_book(site: Site, kind: SessionType, times: list[datetime]) -> list[Asked]:
    answers: list[Asked] = []
    threads = [
        threading.Thread(target=lambda who=who, starts=starts: answers.append(book(site, kind, starts, who)))
        for who, starts in enumerate(times)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture
def browser(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=60, trust_env=False) as client:
        yield client


def others(site: Site, browser: httpx.Client) -> Watch:
    """Health, a page of the console, and a webhook that is new each time."""
    with site.house.db.unit_of_work(OPERATOR) as ctx:
        staff.create_staff(ctx, email="kim@example.com", name="Kim", role=Role.ADMIN, password=PASSWORD)
    token = browser.get("/login").text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    signed_in = browser.post("/login", data={"csrf_token": token, "email": "kim@example.com", "password": PASSWORD})
    assert signed_in.status_code in (302, 303), signed_in.text
    numbers = iter(range(100_000))

    def webhook() -> httpx.Response:
        event = {
            "id": f"evt_slow_{next(numbers)}",
            "object": "event",
            "type": "payment_intent.created",
            "created": int(time.time()),
            "livemode": False,
            "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
        }
        raw = json.dumps(event).encode()
        headers = stripe_headers(raw, time.time())
        return httpx.post(f"{site.url}/api/webhooks/stripe", content=raw, headers=headers, timeout=60, trust_env=False)

    return Watch(
        {
            "health": lambda: httpx.get(f"{site.url}/health", timeout=60, trust_env=False),
            "console": lambda: browser.get("/admin/bookings/", timeout=60),
            "webhook": webhook,
        },
        site.pauses,
    )


def test_ten_bookings_while_stripe_is_slow_hold_up_nobody_and_lose_nothing(site: Site, browser: httpx.Client) -> None:
    house = site.house
    kind = offered(house.db, minutes=60, working_hours=ALWAYS)
    first = tomorrow(utc_now())
    times = [first + timedelta(hours=2 * number) for number in range(CROWD)]
    watch = others(site, browser)
    usual = as_usual(site, watch, offered(house.db, minutes=60, working_hours=ALWAYS), times)

    control.fault(house.simulator, "stripe", "slow", times=1000, seconds=SLOW_SECONDS)
    with watch.running():
        answers = all_book(site, kind, times)
    control.fault(house.simulator, "stripe", "off")

    assert {answer.status for answer in answers} == {503}
    assert all(int(answer.retry_after) > 0 for answer in answers)
    assert max(answer.seconds for answer in answers) < TOTAL_SECONDS + usual + PROMPT_SECONDS
    waited = [answer for answer in answers if answer.code == "outcome_unknown"]
    at_once = [answer for answer in answers if answer.code == "provider_unavailable"]
    assert len(waited) + len(at_once) == CROWD
    # On a busy machine one may come only when the first ones have gone.
    assert WEB.calls <= len(waited) < CROWD
    assert max(answer.seconds for answer in at_once) < usual + PROMPT_SECONDS
    assert watch.wrong == []
    assert set(watch.longest) == set(watch.asks)
    assert max(watch.longest.values()) < usual + PROMPT_SECONDS, watch.longest

    # Nobody holds a time that they cannot pay for, and what nobody heard of is known to be unknown.
    ours = select(Booking.status).where(Booking.practitioner_id == kind.practitioner_id)
    assert set(house.rows(ours)) == {BookingStatus.CANCELED}
    assert house.rows(select(ProviderCall.state)).count(CallState.UNKNOWN) == len(waited)
    everybody_books_after_all(site, kind, times)


def as_usual(site: Site, watch: Watch, kind: SessionType, times: list[datetime]) -> float:
    """The longest that anything takes while the same crowd books and Stripe is well; who finds no room is not asked."""
    with watch.running():
        answers = all_book(site, kind, times)
    longest = max(*watch.longest.values(), *(answer.seconds for answer in answers))
    watch.longest.clear()
    return longest


def everybody_books_after_all(site: Site, kind: SessionType, times: list[datetime]) -> None:
    """The same ten people, the same times, as soon as they may; then the unheard pages are closed."""
    house = site.house
    for who, starts in enumerate(times):
        assert wait_for(lambda who=who, starts=starts: coming_again(site, kind, starts, who), f"booking {who}")
    checkouts.settle_calls(house.bench)
    house.work()
    ours = (Booking.practitioner_id == kind.practitioner_id, Booking.status == BookingStatus.PENDING)
    held = house.rows(select(Booking).where(*ours))
    assert sorted(booking.starts_at for booking in held) == times
    payable = select(Payment.stripe_checkout_session_id).where(Payment.state == PaymentState.OPEN)
    assert set(house.rows(select(ProviderCall.state))) <= {CallState.SUCCEEDED, CallState.FAILED}
    # At Stripe nothing can be paid but what is held here.
    open_there = {one["id"] for one in control_stripe.sessions(house.simulator) if one["status"] == "open"}
    assert open_there == set(house.rows(payable))
    assert open_there >= {booking.stripe_checkout_session_id for booking in held}


def coming_again(site: Site, kind: SessionType, starts: datetime, who: int) -> bool:
    answer = book(site, kind, starts, who)
    assert answer.status in (201, 503), answer
    return answer.status == 201
