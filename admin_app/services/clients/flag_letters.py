"""What the mail about the end of a flag says, for the job that sends it and for the plan that shows it before."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from admin_app.services.clients.flag_words import ON_EXPIRY, WORDS
from admin_app.services.core.plans import REASON_TO_COME, PlannedMail
from admin_app.services.core.time_zones import clock_text, time_zones
from admin_app.services.inbox import outbox
from models.clients import Client, FlagChange
from models.staff import StaffMember

TEMPLATE = "switch_ending"


def composed(session: Session, client: Client, period: FlagChange, base_url: str) -> tuple[str, str, str]:
    """Subject, text and HTML; the period has an end, and need not be kept yet."""
    words = WORDS[period.flag]
    when = _in_zone_of(session, period.by, period.until)
    facts = {
        "client": client.name,
        "on": words.on,
        "when": when,
        "at_end": ON_EXPIRY[period.on_expiry],
        "reason": period.reason,
        "by": period.by,
        "address": f"{base_url.rstrip('/')}/admin/clients/{client.id}",
    }
    return f"{client.name}: {words.on.lower()} until {when}", *outbox.render(TEMPLATE, facts)


def planned(
    session: Session, client: Client, period: FlagChange, base_url: str, now: datetime
) -> tuple[PlannedMail, ...]:
    """The mail as it will read, of a period that is not kept yet; none where nobody is to be told."""
    if period.tell_email is None or period.tell_at is None:
        return ()
    period.reason = period.reason or REASON_TO_COME
    subject, text, _ = composed(session, client, period, base_url)
    when = "at once" if period.tell_at <= now else f"on {_in_zone_of(session, period.by, period.tell_at)}"
    return (PlannedMail(period.tell_email, subject, text, when),)


def _in_zone_of(session: Session, by: str, moment: datetime | None) -> str:
    """A moment as the one who set the flag reads clocks, with the zone named; in UTC where that is not known."""
    if moment is None:
        return ""
    named = session.scalar(select(StaffMember.time_zone).where(StaffMember.email == by))
    local = moment.astimezone(ZoneInfo(named if named in time_zones() else "UTC"))
    return f"{local:%A}, {local.day} {local:%B %Y}, {clock_text(local)} ({local.tzinfo})"
