"""The suite on other days than today: `make days`. In `make test`, `tests/test_any_day.py` goes through the same days.

Every process of a run, PostgreSQL and Chromium included, has its clock put forward or back by the same number of
seconds, so that they agree with each other and time goes on. libfaketime does it; only clocks that tell the date are
moved, never the one that waits are measured by.

    make days                                        the files that depend on the day, on every day
    make days DAYS="2028-02-29 2027-03-28"           on some of them
    make days DAYS=2026-12-31 FILES=tests            everything on one day
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "var/faketime"
LIBRARY = FOLDER / "libfaketime/vendor/libfaketime/src/libfaketime.so.1"
# Debian's package will not do: its 0.9.10 makes every `time.sleep` of Python 3.11 and later fail.
PINNED = (
    "libfaketime==3.0.1"
    " --hash=sha256:49c2b06250bd5a1206efe5ecfdc575850517081b50b42c6c58718be1a4a09fbd"
    " --hash=sha256:5eed7c17f3d4ba0f6f828de4975f69a622b06b1e792674e6c1b069c0689fab79\n"
)


@dataclass(frozen=True)
class Day:
    """A moment, in UTC, at which a run begins, and what is special about it."""

    begins: datetime
    because: str

    @property
    def name(self) -> str:
        return f"{self.begins:%Y-%m-%d}"


def _day(begins: str, because: str) -> Day:
    return Day(datetime.fromisoformat(begins).replace(tzinfo=UTC), because)


DAYS = (
    _day("2026-10-25T00:58:00", "Europe's clocks go back at 01:00 UTC"),
    _day("2026-11-30T23:57:00", "the last minutes of a month; a Monday"),
    _day("2026-12-01T00:00:10", "the first minute of a month; a Tuesday"),
    _day("2026-12-30T23:24:00", "what is half an hour ahead is tomorrow"),
    _day("2026-12-31T23:57:00", "the last minutes of a year"),
    _day("2027-01-01T00:00:10", "the first minute of a year; a Friday"),
    _day("2027-01-31T12:00:00", "in a month there is no such day; a Sunday"),
    _day("2027-02-27T20:00:00", "a Saturday evening; tomorrow ends a month of four whole weeks"),
    _day("2027-02-28T23:57:00", "the last minutes of February"),
    _day("2027-03-01T00:00:10", "the first minute of March"),
    _day("2027-03-14T06:58:00", "America's clocks go forward at 07:00 UTC"),
    _day("2027-03-25T09:00:00", "what is booked in three days is on the day on which Europe's clocks go forward"),
    _day("2027-03-28T00:58:00", "Europe's clocks go forward at 01:00 UTC"),
    _day("2027-04-30T12:00:00", "the end of a month of 30 days; a Friday"),
    _day("2027-09-26T16:00:00", "what is booked in three days is on the day of the longest name"),
    _day("2027-09-29T09:00:00", "Wednesday, 29 September 2027: the longest name"),
    _day("2027-10-28T09:00:00", "what is booked in three days is on the day on which Europe's clocks go back"),
    _day("2027-10-31T00:58:00", "Europe's clocks go back at 01:00 UTC; the end of a month"),
    _day("2027-11-07T05:58:00", "America's clocks go back at 06:00 UTC"),
    _day("2028-02-28T23:57:00", "tomorrow is 29 February"),
    _day("2028-02-29T12:00:00", "29 February: a year from now there is no such day"),
    _day("2028-03-01T12:00:00", "a month after 29 February has 31 days; a Wednesday"),
    _day("2028-06-15T12:30:00", "a Thursday in the middle of everything"),
    _day("2031-06-30T23:57:00", "after every year that a test names"),
)

# What takes a moment from today's clock. Everything else makes its own day, or has none.
FILES = (
    "tests/test_any_day.py",
    "tests/test_guest_wall.py",
    "tests/browser/test_booking_journey.py",
    "tests/browser/test_finance_journey.py",
    "tests/browser/test_ops_journey.py",
    "tests/console/bookings/test_appointment_lists.py",
    "tests/console/bookings/test_appointments.py",
    "tests/console/billing/test_billing.py",
    "tests/console/schedule/test_calendar.py",
    "tests/console/finance/test_finance.py",
    "tests/console/bookings/test_free_times.py",
    "tests/console/clients/test_gate_and_keys.py",
    "tests/console/clients/test_flags.py",
    "tests/demo/test_stories.py",
    "tests/faults/test_calendars.py",
    "tests/faults/test_drift.py",
    "tests/faults/test_drift_of_calendars.py",
    "tests/guests/test_meetings.py",
    "tests/guests/test_sign_in.py",
    "tests/integrations/test_clerk_keys.py",
    "tests/integrations/test_clerk_tokens.py",
    "tests/integrations/test_provider_http.py",
    "tests/jobs/test_appointments.py",
    "tests/jobs/test_billing.py",
    "tests/public/test_availability.py",
    "tests/public/test_bookings.py",
    "tests/public/test_calendar_hints.py",
    "tests/public/test_calendar_webhooks.py",
    "tests/public/test_clients.py",
    "tests/public/test_stripe_order.py",
    "tests/services/bookings/test_appointment_mails.py",
    "tests/services/bookings/test_appointment_races.py",
    "tests/services/bookings/test_attendance.py",
    "tests/services/refunds/test_cancellations.py",
    "tests/services/bookings/test_holds.py",
    "tests/services/bookings/test_rescheduling.py",
    "tests/services/checkout/test_settlement.py",
    "tests/simulator/test_calendars.py",
    "tests/simulator/test_stripe_billing.py",
)


def main() -> int:
    chosen = os.environ.get("DAYS", "").split()
    days = [day for day in DAYS if day.name in chosen] if chosen else DAYS
    if unknown := set(chosen) - {day.name for day in DAYS}:
        print(f"Not among the days of tests/days.py: {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    if not _get_library():
        return 2
    files = os.environ.get("FILES", "").split() or FILES
    outcomes = [_run(day, files) for day in days]
    print("\nDay         Begins  Result                                    Because")
    for day, (_, summary) in zip(days, outcomes, strict=True):
        print(f"{day.name}  {day.begins:%H:%M}   {summary:<40}  {day.because}")
    return 0 if all(passed for passed, _ in outcomes) else 1


def _get_library() -> bool:
    if LIBRARY.exists():
        return True
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = FOLDER / "requirements.txt"
    wanted.write_text(PINNED)
    options = ["--no-deps", "--require-hashes", "--quiet", "--target", str(FOLDER), "-r", str(wanted)]
    got = subprocess.run([sys.executable, "-m", "uv", "pip", "install", *options], cwd=ROOT, check=False)
    if got.returncode or not LIBRARY.exists():
        print(
            "libfaketime, which puts the clocks forward, could not be built. It needs a C compiler and make "
            "(Debian: apt-get install gcc make libc6-dev), and runs on Linux only.",
            file=sys.stderr,
        )
        return False
    return True


def clock(day: Day) -> dict[str, str]:
    """The environment in which every program believes that it is this day."""
    seconds = int(day.begins.timestamp() - time.time())
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": f"{seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Else the times of files would not be those that Python notes in its caches.
        "NO_FAKE_STAT": "1",
    }


def _run(day: Day, files: Sequence[str]) -> tuple[bool, str]:
    """Whether all passed, and what pytest said last."""
    print(f"\n{day.name} {day.begins:%H:%M} UTC, {day.begins:%A}: {day.because}", flush=True)
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal", "-q", "--randomly-seed=1895634620"]
    run = subprocess.Popen([*command, *files], cwd=ROOT, env=os.environ | clock(day), stdout=subprocess.PIPE, text=True)
    assert run.stdout
    last = ""
    for line in run.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    status = run.wait()
    return status == 0, re.sub(r" in .*$|=", "", last).strip() if status in (0, 1) else f"no result: status {status}"


if __name__ == "__main__":
    raise SystemExit(main())
