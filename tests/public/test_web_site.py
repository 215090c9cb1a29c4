"""From the business's web site through Stripe's page to the confirmation, everything over HTTP and without scripts."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import html5lib
import httpx
import pytest
from bs4 import BeautifulSoup
from sqlalchemy import select

from admin_app.db import Database
from admin_app.simulator import control
from models import Booking, BookingStatus, SessionType
from tests.house import House, build, free_port, served, simulated_providers
from tests.programs import wait_for
from tests.public.test_bookings import ALWAYS
from tests.services.diary import offered


@pytest.fixture
def house(tmp_path: Path, real_db: Database) -> Iterator[House]:
    """The product at an address at which the simulator reaches it."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with simulated_providers(tmp_path, address) as simulator:
        house = build(simulator, real_db, base_url=address)
        with served(house.app, port):
            yield house


@pytest.fixture
def kind(house: House) -> SessionType:
    return offered(house.db, minutes=60, working_hours=ALWAYS, time_zone="Europe/Vienna")


@pytest.fixture
def browser(house: House) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=house.simulator, trust_env=False, follow_redirects=True) as client:
        yield client


def read(answer: httpx.Response, status: int = 200) -> BeautifulSoup:
    assert answer.status_code == status
    html5lib.HTMLParser(strict=True).parse(answer.text)
    page = BeautifulSoup(answer.text, "html.parser")
    assert len(page.find_all("h1")) == 1
    assert not re.search(r"<script|<style|\son\w+=|\sstyle=", answer.text)
    labels = {label["for"] for label in page.find_all("label")}
    assert {field["id"] for field in page.select("input:not([type=hidden])")} == labels
    return page


def times(browser: httpx.Client) -> tuple[BeautifulSoup, dict[str, str]]:
    """The page with the free times, and what its form sends when the first is chosen."""
    home = read(browser.get("/site/"))
    link = home.find("a", string="Consultation")
    page = read(browser.get(link["href"]))
    form = page.find("form", method="post")
    hidden = {field["name"]: field["value"] for field in form.select("input[type=hidden]")}
    first = form.select_one("input[type=radio]")
    return page, hidden | {"starts_at": first["value"], "client_name": "Ada", "client_email": "ada@example.com"}


def the_booking(house: House) -> Booking:
    (booking,) = house.rows(select(Booking))
    return booking


def test_booking_and_paying(house: House, kind: SessionType, browser: httpx.Client) -> None:
    page, form = times(browser)
    assert "by the clocks of Europe/Vienna" in page.get_text()
    checkout = browser.post("/site/bookings", data=form)
    assert "Consultation" in read(checkout).get_text()
    assert urlsplit(str(checkout.url)).path.startswith("/stripe/pay/cs_test_")
    back = browser.post(checkout.url, data={"act": "pay"})
    assert (back.status_code, urlsplit(str(back.url)).path) == (200, "/booking")
    wait_for(lambda: control.deliveries(house.simulator)[-1]["outcome"] == "delivered", "the event")
    house.work()
    booking = the_booking(house)
    assert (booking.status, booking.client_email) == (BookingStatus.CONFIRMED, "ada@example.com")
    assert booking.client_time_zone == "Europe/Vienna"
    assert form["starts_at"] not in times(browser)[1].values()


def test_a_time_that_somebody_else_took_is_said(house: House, kind: SessionType, browser: httpx.Client) -> None:
    _, form = times(browser)
    browser.post("/site/bookings", data=form)
    page = read(browser.post("/site/bookings", data=form), 422)
    assert "not free any more" in page.find(role="alert").get_text()
    assert page.find(id="client_email")["value"] == "ada@example.com"


def test_what_is_not_right_is_said_beside_its_field(house: House, kind: SessionType, browser: httpx.Client) -> None:
    _, form = times(browser)
    page = read(browser.post("/site/bookings", data=form | {"client_email": '"><script>'}), 422)
    assert page.find(id="client_email")["aria-describedby"] == "client_email-problem"
    assert page.find(id="client_email-problem").get_text()
    page = read(browser.post("/site/bookings", data=form | {"starts_at": ""}), 422)
    assert "Choose one" in page.find(role="alert").get_text()
    page = read(browser.get("/site/times", params=form | {"zone": "Moon/Base"}))
    assert page.find(role="alert")
    page = read(browser.get("/site/times", params=form | {"day": "soon"}))
    assert page.find(role="alert")
    assert house.rows(select(Booking)) == []


def test_what_costs_nothing_is_booked_at_once(house: House, browser: httpx.Client) -> None:
    offered(house.db, price=0, working_hours=ALWAYS)
    booked = browser.post("/site/bookings", data=times(browser)[1])
    assert "You are booked" in read(booked).get_text()
    assert the_booking(house).status is BookingStatus.CONFIRMED


@pytest.mark.parametrize("chosen", [{"practitioner_id": "9"}, {"session_type_id": "x"}, {"practitioner_id": "²"}])
def test_what_is_not_offered_is_refused(house: House, kind: SessionType, browser: httpx.Client, chosen) -> None:
    _, form = times(browser)
    assert read(browser.post("/site/bookings", data=form | chosen), 422)
    assert read(browser.get("/site/times", params=form | chosen), 422)


def test_a_product_that_is_away_is_said(tmp_path: Path) -> None:
    with simulated_providers(tmp_path, "http://127.0.0.1:9") as simulator:
        answer = httpx.get(f"{simulator}/site/", trust_env=False)
    assert "not possible at the moment" in read(answer, 502).get_text()
