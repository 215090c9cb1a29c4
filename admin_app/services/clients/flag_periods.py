"""The rows behind the flags: which periods are open, what a new one does to them, and the jobs at their ends.

Callers hold the lock of the client, or of everyone: periods of one flag change one after another.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.integrations import job_queue
from admin_app.services.clients import flag_clock
from admin_app.services.clients.flag_requests import FlagRequest
from admin_app.services.core.audit import Change
from admin_app.services.core.plans import fingerprint
from admin_app.services.core.records import flag_change_key
from models.clients import FlagChange, FlagName, OnExpiry

BY_THE_CLOCK = "clock"
BY_A_LATER_CHANGE = "a later change"


@dataclass(frozen=True)
class FlagState:
    """One flag of one client at a moment: `change` is the period in force, `scheduled` those that are to come.

    `over` ended by the clock and was not noted yet. The fingerprint is of all of it.
    """

    flag: FlagName
    is_on: bool
    change: FlagChange | None
    scheduled: tuple[FlagChange, ...]
    over: tuple[FlagChange, ...]
    fingerprint: str

    @property
    def set_outside(self) -> bool:
        """On because another program set the boolean, without a period that says why."""
        return self.is_on and self.change is None

    @classmethod
    def of(
        cls, flag: FlagName, client_id: int | None, kept: bool, periods: Sequence[FlagChange], now: datetime
    ) -> "FlagState":
        is_on = flag_clock.is_on(kept, periods, now)
        change = flag_clock.in_force(periods, now)
        scheduled = tuple(each for each in periods if flag_clock.is_scheduled(each, now))
        meant = [(each.id, each.version) for each in (change, *scheduled) if each is not None]
        return cls(
            flag=flag,
            is_on=is_on,
            change=change,
            scheduled=scheduled,
            over=tuple(each for each in periods if flag_clock.is_over(each, now)),
            fingerprint=fingerprint(flag.value, client_id, is_on, change.id if change else None, meant),
        )


@dataclass(frozen=True)
class Effect:
    """What a asked does to the open periods: `lifted` end with it, `shortened` end where the new one begins."""

    already: bool = False
    begins_at: datetime | None = None
    lifted: tuple[FlagChange, ...] = ()
    shortened: tuple[FlagChange, ...] = ()


def open_periods(
    session: Session, flag: FlagName, client_ids: Collection[int] | None
) -> dict[int | None, list[FlagChange]]:
    """The periods that nobody ended, by client and by their start; `client_ids` None: those of everyone."""
    whose = FlagChange.client_id.is_(None) if client_ids is None else FlagChange.client_id.in_(client_ids)
    query = (
        select(FlagChange)
        .where(FlagChange.flag == flag, whose, FlagChange.lifted_at.is_(None), FlagChange.value)
        .order_by(FlagChange.since, FlagChange.id)
        .execution_options(populate_existing=True)
    )
    found: dict[int | None, list[FlagChange]] = {}
    for row in session.scalars(query):
        found.setdefault(row.client_id, []).append(row)
    return found


def effect_of(state: FlagState, asked: FlagRequest, now: datetime) -> Effect:
    """What a checked request would do now."""
    if not asked.turns_on:
        return Effect(already=not state.is_on, lifted=(state.change,) if state.change else ())
    begins = asked.starts_at(now)
    touched = [each for each in (state.change, *state.scheduled) if each and _overlap(each, begins, asked)]
    if len(touched) == 1 and _same(touched[0], asked, now):
        return Effect(already=True)
    earlier = [each for each in touched if each.since < begins and begins > now]
    return Effect(
        begins_at=begins,
        lifted=tuple(each for each in touched if each not in earlier),
        shortened=tuple(earlier),
    )


def _overlap(period: FlagChange, begins: datetime, asked: FlagRequest) -> bool:
    ends = flag_clock.ends_at(period)
    new_end = asked.until if asked.on_expiry is OnExpiry.LIFT else None
    return (ends is None or ends > begins) and (new_end is None or period.since < new_end)


def _same(period: FlagChange, asked: FlagRequest, now: datetime) -> bool:
    starts_alike = period.since <= now if asked.since is None else period.since == asked.since
    telling = (period.tell_email, period.tell_at) == (asked.tell_email, asked.tell_at)
    return starts_alike and telling and (period.until, period.on_expiry) == (asked.until, asked.on_expiry)


def note_ended(ctx: Ctx, over: Iterable[FlagChange]) -> None:
    """Note of periods that the clock ended when that was."""
    for period in over:
        period.lifted_at, period.lifted_by = flag_clock.ends_at(period), BY_THE_CLOCK
        period.version += 1


def lift(ctx: Ctx, period: FlagChange, *, by: str, reason: str) -> Change:
    """End a period now, or one that has not begun before it does."""
    period.lifted_at, period.lifted_by, period.lift_reason = ctx.now, by, reason
    period.version += 1
    return Change("lifted_at", None, ctx.now, flag_change_key(period.id))


def make_room(ctx: Ctx, effect: Effect, *, reason: str) -> list[Change]:
    """End or shorten what the new period takes the place of; flushed, because the table allows one at a time."""
    changes = [lift(ctx, each, by=BY_A_LATER_CHANGE, reason=reason) for each in effect.lifted]
    for each in effect.shortened:
        changes.append(Change("until", each.until, effect.begins_at, flag_change_key(each.id)))
        for name, value in shortened(each, effect).items():
            setattr(each, name, value)
        each.version += 1
        _follow(ctx, each)
    ctx.session.flush()
    return changes


def shortened(period: FlagChange, effect: Effect) -> dict[str, Any]:
    """What becomes of a period that ends where a later one begins."""
    values: dict[str, Any] = {"until": effect.begins_at, "on_expiry": OnExpiry.LIFT}
    if period.told_at is None:  # the later period tells for itself
        values |= {"tell_email": None, "tell_at": None}
    return values


def of_request(ctx: Ctx, client_id: int | None, asked: FlagRequest) -> FlagChange:
    """The period that a checked request asks for; not kept yet."""
    return FlagChange(
        client_id=client_id,
        flag=asked.flag,
        value=True,
        reason=asked.reason,
        by=ctx.actor.label,
        since=asked.starts_at(ctx.now),
        until=asked.until,
        on_expiry=asked.on_expiry,
        tell_email=asked.tell_email,
        tell_at=asked.tell_at,
        created_at=ctx.now,
    )


def begin(ctx: Ctx, client_id: int | None, asked: FlagRequest, *, bulk_run_id: int | None = None) -> FlagChange:
    """Put in the period that a checked request asks for, with the jobs at its start and at its end."""
    period = of_request(ctx, client_id, asked)
    period.bulk_run_id = bulk_run_id
    ctx.session.add(period)
    ctx.session.flush()
    _follow(ctx, period)
    if period.tell_at is not None:
        tell_at(ctx, period, max(period.tell_at, ctx.now))
    return period


def tell_at(ctx: Ctx, period: FlagChange, moment: datetime) -> None:
    """Have the mail sent then that says that the period ends."""
    at = moment if moment > ctx.now else None
    job_queue.defer(ctx.session, "send_switch_mail", once_key=mail_key(period), at=at, change_id=period.id)


def mail_key(period: FlagChange) -> str:
    """By which the job that sends that mail is queued once."""
    return f"send_switch_mail:{period.id}"


def _follow(ctx: Ctx, period: FlagChange) -> None:
    """Have the boolean follow the clock at the very moments at which the period begins and ends."""
    for moment in (period.since, flag_clock.ends_at(period)):
        if moment is not None and moment > ctx.now:
            key = f"follow_switch:{period.id}:{moment.isoformat()}"
            job_queue.defer(ctx.session, "follow_switch", once_key=key, at=moment, change_id=period.id)
