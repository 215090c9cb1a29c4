"""`flask verify`: whether what must always be true is true, a line of a table for each rule."""

from collections.abc import Iterator, Mapping

import click
from flask.cli import with_appcontext

from admin_app.cli.operator import database, refusals_as_sentences
from admin_app.services import invariants
from admin_app.services.core import audit
from admin_app.services.invariants import Broken

_HEADER = ("Rule", "Holds", "How many", "What must be true")


@click.group("verify", invoke_without_command=True)
@click.pass_context
def group(context: click.Context) -> None:
    """Check what must always be true: every rule, or the one that is named. Nothing is changed.

    Ends with status 1 when a rule does not hold.
    """
    if context.invoked_subcommand is None:
        context.invoke(verify_all)


@with_appcontext
@refusals_as_sentences
def verify_all() -> None:
    """Every invariant as a table, and then the records that break one, with where to look."""
    reads = database()
    with reads.read_only() as session:
        broken = {found.invariant.name: found for found in invariants.broken(session, now=reads.clock())}
        zones = invariants.look(session, invariants.ZONES_AGREE, now=reads.clock())
    for line in _table(broken):
        click.echo(line)
    for found in broken.values():
        click.echo(f"\n{found.invariant.name}: {found.how_many}. Look at:")
        for record in found.records[: invariants.SHOWN]:
            click.echo(f"  {record}")
        if len(found.records) > invariants.SHOWN:
            click.echo("  and more")
    if zones is not None:
        click.echo("\nThe database's rules for time zones differ from ours; what is read by SQL in these is not right:")
        for record in zones.records:
            click.echo(f"  {record.partition(':')[2]}")
    if broken:
        raise click.ClickException(
            f"{len(broken)} of {len(invariants.INVARIANTS)} rules do not hold. What to do: docs/runbooks/verify.md"
        )
    click.echo(f"\nNothing broken. All {len(invariants.INVARIANTS)} rules hold.")


def _table(broken: Mapping[str, Broken]) -> Iterator[str]:
    rows = [_HEADER]
    for rule in invariants.INVARIANTS:
        found = broken.get(rule.name)
        rows.append((rule.name, "BROKEN" if found else "holds", found.how_many if found else "", rule.sentence))
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADER) - 1)]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=False))
        yield "  ".join((*cells, row[-1]))


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
