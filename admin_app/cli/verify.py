"""`flask verify`: whether what must always be true is true, one sentence for each rule."""

import click
from flask.cli import with_appcontext

from admin_app.cli.operator import database, refusals_as_sentences
from admin_app.services import audit, invariants


@click.group("verify", invoke_without_command=True)
@click.pass_context
def group(context: click.Context) -> None:
    """Check what must always be true: every rule, or the one that is named. Nothing is changed."""
    if context.invoked_subcommand is None:
        context.invoke(verify_all)


@with_appcontext
@refusals_as_sentences
def verify_all() -> None:
    """Every invariant, with the records that break it."""
    reads = database()
    with reads.read_only() as session:
        broken = {found.invariant: found.records for found in invariants.broken(session, now=reads.clock())}
    for invariant in invariants.INVARIANTS:
        click.echo(f"{'BROKEN' if invariant in broken else 'holds '}  {invariant.sentence}")
        records = broken.get(invariant, ())
        for record in records[: invariants.SHOWN]:
            click.echo(f"          {record}")
        if len(records) > invariants.SHOWN:
            click.echo("          and more")
    if broken:
        raise click.ClickException(
            f"{len(broken)} of {len(invariants.INVARIANTS)} rules do not hold. What to do: docs/runbooks/verify.md"
        )
    click.echo(f"All {len(invariants.INVARIANTS)} rules hold.")


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
