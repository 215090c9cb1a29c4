"""The months that finance closed so far; the last one is left for whoever tries."""

from datetime import date, timedelta
from functools import partial

from admin_app.demo.clock import Stage
from admin_app.demo.desk import Desk
from admin_app.demo.purchases import Script
from admin_app.services.core.utc_months import ends, following, month_of
from admin_app.services.finance import months
from models import Role

CLOSED_AFTER = timedelta(days=2, hours=9)
NOTES = {3: None, 2: "Agreed with the bank's statement"}  # by how many months ago


def note_all(stage: Stage, script: Script, desk: Desk) -> None:
    """Have the months closed in their order, each on the third of the month after it."""
    for back, note in NOTES.items():
        month = following(month_of(stage.today), -back)
        script.note(ends(month) + CLOSED_AFTER, partial(_close, desk, month, note))


def _close(desk: Desk, month: date, note: str | None) -> None:
    ctx = desk.by(ends(month) + CLOSED_AFTER, Role.FINANCE)
    plan = months.plan_close(ctx, month=month)
    months.close(ctx, month=month, note=note, shown=plan.fingerprint)
