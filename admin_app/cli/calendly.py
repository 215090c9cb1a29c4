"""`flask calendly`: which event types of Calendly are which session types here."""

import click
from flask.cli import with_appcontext

from admin_app.cli.operator import database, providers, refusals_as_sentences, work
from admin_app.services.schedule import calendly_mapping
from admin_app.services.schedule.calendly_mapping import Proposal

COMMAND = "flask calendly"
REASON = "Same title, length and owner at Calendly"

group = click.Group("calendly", help="Calendly's event types and the session types they are booked as.")


@group.command("sync")
@click.option("--apply", "applies", is_flag=True, help="Set the event types that are beyond doubt.")
@with_appcontext
@refusals_as_sentences
def sync(applies: bool) -> None:
    """List Calendly's event types, and propose one for each session type that has none."""
    calendly = providers().calendly
    if calendly is None:
        raise click.ClickException("Calendly is not configured: set CALENDLY_TOKEN.")
    event_types = calendly.event_types()
    click.echo(f"{len(event_types)} event types at Calendly.")
    for kind in event_types:
        off = "" if kind.active else "  (switched off)"
        click.echo(f"  {kind.name}, {kind.minutes} minutes, {kind.owner_name or 'no owner named'}  {kind.uri}{off}")
    with database().read_only() as session:
        proposals = calendly_mapping.propose(session, event_types)
    click.echo(f"{len(proposals)} session types without an event type.")
    for proposal in proposals:
        click.echo(f"  {_line(proposal)}")
    if applies:
        with work(COMMAND) as ctx:
            number = calendly_mapping.apply(ctx, proposals, reason=REASON)
        click.echo(f"{number} set. Deliveries that waited for them go on.")
    elif any(proposal.only for proposal in proposals):
        click.echo("Nothing was changed. Run it again with --apply to set those with an arrow.")


def _line(proposal: Proposal) -> str:
    kind = proposal.session_type
    named = f"{kind.id}  {proposal.practitioner.name}: {kind.title}, {kind.minutes} minutes"
    if proposal.only:
        return f"{named}  →  {proposal.only.uri}"
    if proposal.fitting:
        return f"{named}  fits {len(proposal.fitting)}: {', '.join(one.uri for one in proposal.fitting)}"
    return f"{named}  fits none beyond doubt"
