"""Has the booleans follow the clock where a period begins or ends, and notes the end in the history.

Nothing waits for this: whoever asks by `flag_clock` is told the truth at the very moment. It is for readers of the
booleans and of the history.
"""

from datetime import datetime

from sqlalchemy import and_, case, or_, select
from sqlalchemy.orm import Session

from admin_app.context import Ctx
from admin_app.policies.permissions import Permission, require
from admin_app.services.clients import emergency, flag_periods, flags
from admin_app.services.clients.flag_periods import FlagState
from models.clients import Client, FlagChange, FlagName, OnExpiry

_OPEN = and_(FlagChange.lifted_at.is_(None), FlagChange.value)


def due(session: Session, now: datetime, *, limit: int) -> list[int]:
    """Periods whose end was not noted, or whose client's boolean says something else than the clock."""
    ended = select(FlagChange.id).where(_OPEN, FlagChange.on_expiry == OnExpiry.LIFT, FlagChange.until <= now)
    kept = case((FlagChange.flag == FlagName.OUTBOUND_PAUSED, Client.outbound_paused), else_=Client.ai_disabled)
    not_shown = (
        select(FlagChange.id)
        .join(Client, Client.id == FlagChange.client_id)
        .where(
            _OPEN,
            FlagChange.since <= now,
            or_(FlagChange.until.is_(None), FlagChange.until > now, FlagChange.on_expiry == OnExpiry.STAY),
            ~kept,
        )
    )
    found = list(session.scalars(ended.order_by(FlagChange.until, FlagChange.id).limit(limit)))
    return found + list(session.scalars(not_shown.limit(limit - len(found))))


def follow(ctx: Ctx, *, change_id: int) -> None:
    """Bring one client's flag, or the emergency stop, to what the clock says."""
    require(ctx, Permission.CLIENTS_SWITCH)
    period = ctx.session.get(FlagChange, change_id)
    if period is None:
        return
    if period.client_id is None:
        emergency.note_ended(ctx, emergency.locked_periods(ctx))
    else:
        _follow_client(ctx, period.client_id, period.flag)


def _follow_client(ctx: Ctx, client_id: int, flag: FlagName) -> None:
    client = flags.locked(ctx, client_id)
    periods = flag_periods.open_periods(ctx.session, flag, [client_id]).get(client_id, [])
    state = FlagState.of(flag, client_id, getattr(client, flag.value), periods, ctx.now)
    change = flags.keep_true(ctx, client, flag, state.is_on)
    flags.note_ended(ctx, client, state, [] if state.is_on else [change])
    if state.change is not None and change.before != change.after:
        flags.note(ctx, client, state.change, "client.switch_started", changes=[change])
