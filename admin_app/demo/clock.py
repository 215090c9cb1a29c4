"""The fill's own time: everything is told backwards from the day on which it runs."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from admin_app.context import Actor, Ctx
from admin_app.demo.names import Invention
from models import Base


@dataclass(frozen=True)
class Amounts:
    """How much is made up of what comes in numbers; the special cases come on top."""

    profiles: int = 1860
    legacy_rows: int = 30
    claimed_by_customer: int = 66
    merged_by_customer: int = 27
    waiting: int = 165
    clients: int = 150
    bookings: int = 5000
    meetings: int = 400


@dataclass(frozen=True)
class Stage:
    """The one transaction of the fill, the day it is told from, and what it is told with."""

    ctx: Ctx
    today: datetime
    seed: int
    amounts: Amounts

    @classmethod
    def of(cls, ctx: Ctx, seed: int, amounts: Amounts) -> "Stage":
        return cls(ctx, ctx.now.replace(minute=0, second=0, microsecond=0), seed, amounts)

    def invention(self, section: str) -> Invention:
        """The made-up things of one section."""
        return Invention(self.seed, section)

    def ago(self, *, days: float = 0, minutes: float = 0) -> datetime:
        moment = self.today - timedelta(days=days, minutes=minutes)
        return moment.replace(microsecond=0)

    def put(self, model: type[Base], rows: list[dict[str, Any]]) -> None:
        """Insert many rows at once; all must fill the same columns."""
        self.ctx.session.execute(Base.metadata.tables[model.__tablename__].insert(), rows)

    def at(self, moment: datetime, actor: Actor, request_id: str) -> Ctx:
        """The same transaction as it would have been then."""
        return replace(self.ctx, now=moment, actor=actor, request_id=request_id)
