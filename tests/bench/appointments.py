"""What bookings cost when there are many: `python -m tests.bench.appointments`.

Two databases, a small and a large one, with the same practitioners and the same diary around today; they are asked in
turns in one run. Measured within this process: `POST /api/bookings` from the request to the moment at which Stripe
would be called, and one delivery each of Cal.com and Calendly from its arrival to the end of its job. The providers are
stand-ins that answer at once, so that all that is measured is ours.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, cast

import psycopg
from flask import Flask

from admin_app import logs
from admin_app.config import Settings
from admin_app.db import Database
from admin_app.errors import ProviderRefused
from admin_app.factory import create_app
from admin_app.integrations.calendar_ports import CalcomBooking, CalcomPort, CalendlyInvitee, CalendlyPort
from admin_app.integrations.mail import NoDelivery
from admin_app.integrations.money_ports import StripePort
from admin_app.integrations.registry import Providers
from admin_app.jobs import events
from admin_app.jobs.bench import Bench
from tests.bench import appointment_rows as rows
from tests.bench import page, place
from tests.bench.intake import Bar
from tests.integrations.signing import CALCOM_SECRET, CALENDLY_KEY, calcom_headers, calendly_headers

HEADING = "## Bookings and deliveries of calendars"
ABOUT = """`POST /api/bookings` from the request to the call of Stripe, and one delivery each of Cal.com and Calendly
from its arrival to the end of its job, by turns at {small} and at
{large}, in one process; the providers are stand-ins that answer at once. Medians of {rounds} rounds, in milliseconds.

{when}; this benchmark alone makes about 1.
"""
SIZES = (10_000, 1_000_000)
BAR = 1.5
ROUNDS, WARM_UP = 60, 10
CALENDLY = "https://api.calendly.com"
HOUR = timedelta(hours=1)


class CalledStripe:
    """Stripe's part: says when it was called, and no, so that the time is free again."""

    def __init__(self) -> None:
        self.at = 0.0

    def create_checkout(self, *_: Any, **__: Any) -> NoReturn:
        self.at = time.perf_counter()
        raise ProviderRefused("stripe", "bench")


class Answers:
    """The part of Cal.com and of Calendly: what was booked last is what they know."""

    def __init__(self) -> None:
        self.known: Any = None

    def booking(self, _: str) -> Any:
        return self.known

    def invitee(self, _: str) -> Any:
        return self.known


@dataclass
class Site:
    """The product on one of the databases."""

    bookings: int
    app: Flask
    bench: Bench
    stripe: CalledStripe = field(default_factory=CalledStripe)
    asked: Answers = field(default_factory=Answers)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def books(self) -> float:
        """A new time each time, at a practitioner whose free times nobody else knows."""
        number = next(self.numbers)
        kind = rows.CALCOM_PRACTITIONERS + 1 + number % (rows.PRACTITIONERS - rows.CALCOM_PRACTITIONERS)
        wish = {
            "practitioner_id": kind,
            "session_type_id": kind,
            "starts_at": rows.free_hour(17).isoformat(),
            "client_name": "Bench Client",
            "client_email": f"client{number}@bench.example",
        }
        caller = {"REMOTE_ADDR": f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"}
        began = time.perf_counter()
        answer = self.app.test_client().post("/api/bookings", json=wish, environ_base=caller)
        if self.stripe.at < began:
            raise SystemExit(f"Stripe was never called: {answer.status_code} {answer.text[:300]}")
        return self.stripe.at - began

    def hears_of_calcom(self) -> float:
        number = next(self.numbers)
        starts_at, kind = rows.free_hour(18), 1 + number % rows.CALCOM_PRACTITIONERS
        who = {"email": f"calcom{number}@bench.example", "name": "Bench Client", "timeZone": "UTC"}
        uid = f"bench-{number}"
        self.asked.known = CalcomBooking(
            uid=uid, status="accepted", starts_at=starts_at, ends_at=starts_at + HOUR, event_type_id=str(kind),
            attendee_email=who["email"], attendee_name=who["name"], our_id=None, rescheduled_from_uid=None,
        )  # fmt: skip
        payload = {
            "uid": uid,
            "eventTypeId": kind,
            "startTime": starts_at.isoformat(),
            "endTime": (starts_at + HOUR).isoformat(),
            "attendees": [who],
        }
        body = {"triggerEvent": "BOOKING_CREATED", "createdAt": datetime.now(UTC).isoformat(), "payload": payload}
        raw = json.dumps(body).encode()
        return self._hears("calcom", raw, calcom_headers(raw))

    def hears_of_calendly(self) -> float:
        number = next(self.numbers)
        starts_at = rows.free_hour(19)
        kind = rows.CALCOM_PRACTITIONERS + 1 + number % (rows.PRACTITIONERS - rows.CALCOM_PRACTITIONERS)
        event = f"{CALENDLY}/scheduled_events/bench{number}"
        uri = f"{event}/invitees/bench{number}"
        self.asked.known = CalendlyInvitee(
            uri=uri, event_uri=event, event_id=f"bench{number}", event_type_uri=f"{CALENDLY}/event_types/{kind}",
            name="Bench Client", email=f"calendly{number}@bench.example", time_zone="UTC", starts_at=starts_at,
            ends_at=starts_at + HOUR, canceled=False, canceled_at=None, canceler=None, rescheduled=False,
            old_invitee_uri=None, new_invitee_uri=None,
        )  # fmt: skip
        body = {"event": "invitee.created", "created_at": datetime.now(UTC).isoformat(), "payload": {"uri": uri}}
        raw = json.dumps(body).encode()
        return self._hears("calendly", raw, calendly_headers(raw, time.time()))

    def _hears(self, provider: str, raw: bytes, headers: Mapping[str, str]) -> float:
        """The delivery and its job; which number the event got is not part of either."""
        began = time.perf_counter()
        answer = self.app.test_client().post(f"/api/webhooks/{provider}", data=raw, headers=dict(headers))
        took_in = time.perf_counter() - began
        if answer.status_code != 200:
            raise SystemExit(f"A delivery was answered {answer.status_code}: {answer.text[:300]}")
        event_id = self._one("SELECT max(id) FROM webhook_events")
        began = time.perf_counter()
        events.process(self.bench, event_id, last_try=True)
        done = time.perf_counter() - began
        became = "SELECT coalesce(outcome, parked_because, last_error) FROM webhook_events WHERE id = %s"
        outcome = self._one(became, event_id)
        if outcome != "brought in":
            raise SystemExit(f"A delivery of {provider} ended as {outcome!r}.")
        return took_in + done

    def _one(self, query: str, *values: object) -> Any:
        with psycopg.connect(self.bench.settings.database_url) as connection:
            row = connection.execute(query.encode(), values).fetchone()
        return row[0] if row else None


def open_site(url: str, bookings: int) -> Site:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        database_url=url,
        secret_key="only for the benchmark, which nobody signs in to",
        calcom_webhook_secret=CALCOM_SECRET,
        calendly_webhook_signing_key=CALENDLY_KEY,
    )
    stripe, asked = CalledStripe(), Answers()
    providers = Providers(
        whop=None,
        clerk=None,
        mail=NoDelivery(),
        stripe=cast(StripePort, stripe),
        calcom=cast(CalcomPort, asked),
        calendly=cast(CalendlyPort, asked),
    )
    database = Database.from_settings(settings)
    app = create_app(settings, database=database, providers=providers)
    logs.own_lines(sys.stderr)
    return Site(bookings, app, Bench(database, settings, providers), stripe, asked)


def measure(sites: list[Site], *, rounds: int, warm_up: int) -> None:
    """All sites at every act in each round, who is first changing; each act has a practitioner of its own each time."""
    if warm_up + rounds > rows.CALCOM_PRACTITIONERS:
        raise SystemExit(f"There are not more than {rows.CALCOM_PRACTITIONERS} practitioners for as many rounds.")
    acts: dict[str, Callable[[Site], float]] = {
        "a booking, to the call of Stripe": Site.books,
        "a delivery of Cal.com": Site.hears_of_calcom,
        "a delivery of Calendly": Site.hears_of_calendly,
    }
    for number in range(warm_up + rounds):
        for name, act in acts.items():
            for site in sites[:: 1 if number % 2 else -1]:
                seconds = act(site)
                if number >= warm_up:
                    site.milliseconds.setdefault(name, []).append(seconds * 1000)


def run(server_url: str, sizes: tuple[int, ...], *, rounds: int, warm_up: int) -> list[Site]:
    sites = []
    for bookings in sizes:
        began = time.monotonic()
        url = rows.fresh_database(server_url, bookings)
        print(f"{bookings:,} bookings filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
        sites.append(open_site(url, bookings))
    try:
        measure(sites, rounds=rounds, warm_up=warm_up)
    finally:
        for site in sites:
            site.bench.db.dispose()
    return sites


def bars(small: Site, large: Site) -> list[Bar]:
    return [
        Bar(f"{name}: large / small", statistics.median(large.milliseconds[name]) / statistics.median(few), BAR, False)
        for name, few in small.milliseconds.items()
    ]


def section(small: Site, large: Site) -> Iterator[str]:
    """The part of docs/benchmarks.md."""
    rounds = len(next(iter(small.milliseconds.values())))
    yield ABOUT.format(small=_size(small), large=_size(large), rounds=rounds, when=page.when())
    yield f"| | {small.bookings:,} bookings | {large.bookings:,} bookings | ratio | at most | |"
    yield "|---|--:|--:|--:|--:|---|"
    for (name, few), bar in zip(small.milliseconds.items(), bars(small, large), strict=True):
        many = large.milliseconds[name]
        verdict = "holds" if bar.holds else "MISSED"
        yield (
            f"| {name} | {statistics.median(few):.1f} | {statistics.median(many):.1f} | {bar.measured:.2f} |"
            f" {bar.bar:.1f} | {verdict} |"
        )


def _size(site: Site) -> str:
    return f"{site.bookings:,} bookings with {rows.meetings_of(site.bookings):,} meetings"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs=2, default=list(SIZES), metavar="BOOKINGS")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-page", action="store_true", help="only print, leave docs/benchmarks.md as it is")
    wanted = parser.parse_args()
    with place.server() as server_url:
        small, large = run(server_url, tuple(wanted.sizes), rounds=wanted.rounds, warm_up=WARM_UP)
    lines = list(section(small, large))
    print("\n".join(lines))
    if not wanted.no_page:
        page.write(HEADING, lines)
    sys.exit(0 if all(bar.holds for bar in bars(small, large)) else 1)


if __name__ == "__main__":
    main()
