"""From the purchase to the claim with every program running on its own, and nothing between them but HTTP."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from admin_app.simulator import control
from tests.integrations.signing import CLERK_SECRET, WHOP_SECRET

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class House:
    url: str
    simulator: str
    database: str

    def row(self, query: str, *values: object) -> dict[str, Any] | None:
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), values).fetchone()

    def wait_for(self, query: str, *values: object) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if found := self.row(query, *values):
                return found
            time.sleep(0.1)
        raise AssertionError(f"not in time: {query}")

    def as_customer(self, user_id: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {control.token(self.simulator, user_id)}"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def house(fresh_database_url: str, tmp_path: Path) -> Iterator[House]:
    port, simulator_port = free_port(), free_port()
    place = House(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{simulator_port}", fresh_database_url)
    environment = os.environ | {
        "DATABASE_URL": fresh_database_url,
        "SECRET_KEY": "s" * 32,
        "BASE_URL": place.url,
        "WHOP_API_KEY": "apik_way",
        "WHOP_WEBHOOK_SECRET": WHOP_SECRET,
        "WHOP_API_BASE": f"{place.simulator}/whop/api/v1",
        "CLERK_ISSUER": f"{place.simulator}/clerk",
        "CLERK_API_BASE": f"{place.simulator}/clerk/v1",
        "CLERK_SECRET_KEY": "sk_way",
        "CLERK_WEBHOOK_SECRET": CLERK_SECRET,
        "CLERK_AUTHORIZED_PARTIES": place.url,
    }
    state = str(tmp_path / "simulator.sqlite")
    commands = [
        ["-m", "admin_app.simulator", "--port", str(simulator_port), "--state", state],
        ["-m", "gunicorn", "wsgi:app", "--bind", f"127.0.0.1:{port}", "--threads", "4"],
        ["-m", "admin_app.jobs"],
    ]
    with (tmp_path / "log").open("wb") as log:
        processes = [
            subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=log, stderr=log)
            for command in commands
        ]
        try:
            for url in (f"{place.simulator}/_sim/", f"{place.url}/health"):
                wait_until_up(url)
            yield place
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(timeout=20)


def wait_until_up(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


PENDING = "SELECT * FROM pending_profiles WHERE whop_membership_id = %s"


def test_purchases_in_every_form_wait_and_are_claimed_by_their_buyers(house):
    # The v5 and the pinned activation carry no e-mail: the worker asks Whop's API for it.
    for form in ("v1", "pinned", "v5", "v2"):
        email = f"Ada.{form}@Example.com"
        made = control.purchase(house.simulator, email=email, name="Ada Byron", plan="yearly", event=form)
        # The payment, which comes in either order, does not tell the plan: the activation does.
        waiting = house.wait_for(f"{PENDING} AND plan_duration = 'yearly'", made["membership_id"])
        assert waiting["email"].lower() == email.lower()
        assert (waiting["whop_user_id"], waiting["claimed"]) == (made["user_id"], False)
        person = control.create_user(house.simulator, name="Ada Byron", email=email)
        answer = httpx.post(f"{house.url}/api/profiles/sign-in", headers=house.as_customer(person["id"]))
        assert answer.status_code == 200, answer.text
        profile = house.row("SELECT * FROM profiles WHERE user_id = %s", person["id"])
        assert profile
        assert (profile["membership"], profile["whop_membership_id"]) == ("pro", made["membership_id"])
        claimed = house.row(PENDING, made["membership_id"])
        assert claimed
        assert (claimed["claimed"], claimed["claimed_by_user_id"]) == (True, person["id"])

    # What happens later at Whop reaches the profile.
    control.deactivate(house.simulator, made["membership_id"], event="v1")
    ended = "SELECT * FROM profiles WHERE user_id = %s AND membership = 'free'"
    assert house.wait_for(ended, person["id"])["status"] == "inactive"


def test_the_providers_own_news_claim_only_a_verified_address(house):
    made = control.purchase(house.simulator, email="eve@example.com")
    house.wait_for(PENDING, made["membership_id"])
    person = control.create_user(house.simulator, name="Eve", email="eve@example.com", verified=False, webhook=True)
    house.wait_for("SELECT 1 FROM webhook_events WHERE type = 'user.created' AND state IN ('processed', 'ignored')")
    answer = httpx.post(
        f"{house.url}/api/pending-profiles/claim",
        headers=house.as_customer(person["id"]),
        json={"email": "eve@example.com"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "email_not_verified")
    control.verify_user(house.simulator, person["id"])
    claimed = house.wait_for(f"{PENDING} AND claimed", made["membership_id"])
    assert claimed["claimed_by_user_id"] == person["id"]


def test_an_address_that_nobody_tells_parks_the_event_and_outages_answer_at_once(house):
    made = control.purchase(house.simulator, email=None)
    parked = house.wait_for("SELECT * FROM webhook_events WHERE state = 'parked'")
    assert parked["subject"] == made["membership_id"]
    control.fault(house.simulator, "clerk", "500", times=20)
    started = time.monotonic()
    answer = httpx.post(f"{house.url}/api/profiles/sign-in", headers=house.as_customer("user_1"))
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
    assert time.monotonic() - started < 5
