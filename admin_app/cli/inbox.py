"""`flask inbox`: what providers delivered, what waits for a person, and how it goes on."""

from datetime import datetime

import click
from flask.cli import with_appcontext
from sqlalchemy import select

from admin_app.cli.operator import database, refusals_as_sentences, work
from admin_app.errors import NotFound
from admin_app.services import inbox
from models.inbox import EventState, WebhookEvent

COMMAND = "flask inbox"
WAITING = (EventState.PARKED, EventState.FAILED)

group = click.Group("inbox", help="Provider events: list and show them, release what is parked or failed.")
reason_option = click.option("--reason", required=True, help="Why; kept in the audit.")


@group.command("list")
@click.option("--state", type=click.Choice([state.value for state in EventState]), help="Parked and failed by default.")
@click.option("--provider", help="Only this provider's events.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@with_appcontext
@refusals_as_sentences
def list_events(state: str | None, provider: str | None, limit: int) -> None:
    """The events that wait for someone, newest first."""
    states = (EventState(state),) if state else WAITING
    query = select(WebhookEvent).where(WebhookEvent.state.in_(states))
    if provider:
        query = query.where(WebhookEvent.provider == provider)
    query = query.order_by(WebhookEvent.received_at.desc(), WebhookEvent.id.desc()).limit(limit)
    with database().read_only() as session:
        events = session.scalars(query).all()
    if not events:
        click.echo("No such events.")
    for event in events:
        why = event.parked_because or event.last_error or ""
        click.echo(
            f"{event.id:>8}  {_time(event.received_at)}  {event.provider:<8}  {event.state.value:<10}  "
            f"{event.type}  {why}".rstrip()
        )


@group.command("show")
@click.argument("event_id", type=click.IntRange(1, 2**63 - 1))
@click.option("--body", is_flag=True, help="Print the stored body as well; it names the customer.")
@with_appcontext
@refusals_as_sentences
def show(event_id: int, body: bool) -> None:
    """One event: what it is, where it stands and why."""
    with database().read_only() as session:
        event = session.get(WebhookEvent, event_id)
    if event is None:
        raise NotFound("There is no such event in the inbox.")
    facts = {
        "provider": event.provider,
        "type": event.type,
        "external id": event.external_id,
        "about": event.subject,
        "received": _time(event.received_at),
        "occurred": _time(event.occurred_at),
        "state": event.state.value,
        "waits because": inbox.PARKED_SENTENCES.get(event.parked_because or "", event.parked_because),
        "last error": event.last_error,
        "tries": event.attempts,
        "outcome": event.outcome,
        "settled": _time(event.processed_at),
    }
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name:<14} {value}")
    if body:
        click.echo(event.body.decode("utf-8", "replace"))


@group.command("release")
@click.argument("event_id", type=click.IntRange(1, 2**63 - 1))
@reason_option
@with_appcontext
@refusals_as_sentences
def release(event_id: int, reason: str) -> None:
    """Try a parked or failed event again as it is."""
    with work(COMMAND) as ctx:
        inbox.release(ctx, event_id=event_id, reason=reason)
    click.echo(f"Event {event_id} is queued again.")


@group.command("attach-email")
@click.argument("event_id", type=click.IntRange(1, 2**63 - 1))
@click.argument("email")
@reason_option
@with_appcontext
@refusals_as_sentences
def attach_email(event_id: int, email: str, reason: str) -> None:
    """Name the buyer's address of a parked event, and try it again."""
    with work(COMMAND) as ctx:
        inbox.attach_email(ctx, event_id=event_id, email=email, reason=reason)
    click.echo(f"Event {event_id} has its address and is queued again.")


def _time(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else None
