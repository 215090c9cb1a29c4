"""Clients and their flags, for tests."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from admin_app.context import Actor, Staff
from admin_app.db import Database
from admin_app.services.clients import flag_following, flags
from admin_app.services.clients.flags import FlagRequest, FlagState
from models import Client, FlagChange, FlagName, Role
from tests.services.factories import OPERATOR

OPS = Staff(id=1, email="ops@demo.test", role=Role.OPS)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PAUSE = FlagName.OUTBOUND_PAUSED
BASE_URL = "http://127.0.0.1:8000"


def at(db: Database, moment: datetime) -> Database:
    """The same database with its clock standing at `moment`."""
    db.clock = lambda: moment
    return db


def add_client(db: Database, name: str = "Harbor Dental", **values: Any) -> int:
    with db.unit_of_work(OPERATOR) as ctx:
        client = Client(name=name, **values)
        ctx.session.add(client)
        ctx.session.flush()
        return client.id


def on(reason: str = "They asked for it", flag: FlagName = PAUSE, **values: Any) -> FlagRequest:
    return FlagRequest(flag=flag, turns_on=True, reason=reason, **values)


def off(reason: str = "Sorted out", flag: FlagName = PAUSE) -> FlagRequest:
    return FlagRequest(flag=flag, turns_on=False, reason=reason)


def turn(db: Database, client_id: int, asked: FlagRequest, actor: Actor = OPS) -> FlagChange:
    """Look at the plan and act on it."""
    with db.unit_of_work(actor) as ctx:
        shown = flags.plan_flag(ctx, client_id=client_id, asked=asked, base_url=BASE_URL).fingerprint
    with db.unit_of_work(actor) as ctx:
        return flags.set_flag(ctx, client_id=client_id, asked=asked, shown=shown)


def state_of(db: Database, client_id: int, flag: FlagName = PAUSE) -> FlagState:
    with db.unit_of_work(OPERATOR) as ctx:
        return flags.state(ctx.session, [client_id], flag, ctx.now)[client_id]


def boolean_of(db: Database, client_id: int, flag: FlagName = PAUSE) -> bool:
    with db.read_only() as session:
        found: bool = getattr(session.get_one(Client, client_id), flag.value)
        return found


def follow_all(db: Database) -> int:
    """What the sweep of a minute does."""
    with db.unit_of_work(OPERATOR) as ctx:
        due = flag_following.due(ctx.session, ctx.now, limit=100)
        for change_id in due:
            flag_following.follow(ctx, change_id=change_id)
        return len(due)


def changes(db: Database, client_id: int | None) -> list[FlagChange]:
    whose = FlagChange.client_id == client_id if client_id else FlagChange.client_id.is_(None)
    with db.read_only() as session:
        return list(session.scalars(select(FlagChange).where(whose).order_by(FlagChange.id)))


Moment = Callable[[], datetime]
