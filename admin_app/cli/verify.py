"""`flask verify`: whether what must never change is unchanged."""

import click
from flask.cli import with_appcontext

from admin_app.cli.operator import database, refusals_as_sentences
from admin_app.services import audit

group = click.Group("verify", help="Check what must never change.")


@group.command("audit")
@with_appcontext
@refusals_as_sentences
def verify_audit() -> None:
    """Follow the audit's chain of hashes from the first entry to the last."""
    with database().read_only() as session:
        broken = audit.first_broken_link(session)
    if broken is not None:
        raise click.ClickException(
            f"The audit's chain is broken at entry {broken}: it, or one before it, was changed or removed. "
            "Compare with the latest backup before anything else."
        )
    click.echo("The audit's chain is whole.")
