"""Clients as a command finds them, with a clock of the test's and the simulated Stripe."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import select

from admin_app.context import Job
from admin_app.jobs import client_flags as flag_jobs
from admin_app.services.clients.flags import FlagRequest
from models import Client, FlagChange, FlagName
from tests.house import House
from tests.services.clients import flags
from tests.services.diary import Clock

NUMBERS = count(1)
DAY = timedelta(days=1)


@dataclass
class Clients:
    house: House
    clock: Clock

    def work(self) -> Any:
        return self.house.db.unit_of_work(Job("tests"))

    def client(self, **values: Any) -> int:
        return flags.add_client(self.house.db, f"Harbor Dental {next(NUMBERS)}", **values)

    def local(self, moment: datetime) -> str:
        """As it is typed into a form by somebody in UTC."""
        return f"{moment:%Y-%m-%dT%H:%M}"

    def in_days(self, days: float) -> datetime:
        """A moment on the minute, as forms have them."""
        return self.clock.now.replace(second=0) + timedelta(days=days)

    def on(self, client_id: int, **asked: Any) -> FlagChange:
        return flags.turn(self.house.db, client_id, flags.on(**asked))

    def turn(self, client_id: int, asked: FlagRequest) -> FlagChange:
        return flags.turn(self.house.db, client_id, asked)

    def periods(self, client_id: int | None) -> list[FlagChange]:
        of_it = FlagChange.client_id.is_(None) if client_id is None else FlagChange.client_id == client_id
        is_open = (FlagChange.lifted_at.is_(None), FlagChange.value)
        return self.house.rows(select(FlagChange).where(of_it, *is_open).order_by(FlagChange.since))

    def time_passes(self, until: datetime) -> None:
        """The clock stands then, and what is due by then is done."""
        self.clock.now = until
        flag_jobs.follow_all(self.house.bench)
        self.house.work()

    def row(self, client_id: int) -> Client:
        (found,) = self.house.rows(select(Client).where(Client.id == client_id))
        assert isinstance(found, Client)
        return found


PAUSED, DISABLED = FlagName.OUTBOUND_PAUSED, FlagName.AI_DISABLED
