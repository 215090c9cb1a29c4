"""`flask migrate plan | apply | verify | rollback`: what a migration would do here, does, did, and the way back."""

import click
from flask.cli import with_appcontext

from admin_app.cli.environments import ENVIRONMENTS, address_of, database_at, name_of, reading, sentences
from admin_app.services.core.migrating import planning, report, verifying
from admin_app.services.core.migrating.planning import Plan

group = click.Group("migrate", help="What a migration would do to a database, does, did, and the way back.")
OF_ENV = click.option(
    "--env", type=click.Choice(ENVIRONMENTS), help="DATABASE_URL_<ENV> is taken where it is set, else DATABASE_URL."
)


@group.command("plan")
@OF_ENV
@with_appcontext
@sentences
def plan(env: str | None) -> None:
    """Read a database and show what each revision to come would do to it, how long, and what stands in the way.

    Nothing is changed. Ends with status 1 when something stands in the way.
    """
    address = address_of(env)
    with reading(address) as connection:
        found = planning.plan(connection)
    click.echo(f"{name_of(address)}\n{found.place.sentence}")
    _show_plan(found)
    if found.refused:
        raise click.ClickException(f"{found.refused}\nWhat to do: {RUNBOOK}")


def _show_plan(found: Plan) -> None:
    if not found.steps:
        click.echo("Nothing is to be done.")
        return
    for step in found.steps:
        click.echo(f"\n{step.revision}  {step.idea}")
        click.echo(f"      here:   {'; '.join(step.work.changes) or 'nothing that is not there already'}")
        click.echo(f"      rows:   {step.work.told_rows()}")
        click.echo(f"      locks:  {step.locks}")
        click.echo(f"      about:  {step.work.seconds:,.1f} s")
    click.echo("\nRows now (tables beyond 100,000 as PostgreSQL estimated last)")
    for line in report.as_text(("Table", "Rows"), [(name, f"{count:,}") for name, count in found.counts.items()]):
        click.echo(f"  {line}")
    click.echo(
        f"\n{len(found.steps)} revisions, about {found.seconds:,.0f} s. That is an estimate from measured rates "
        "(docs/benchmarks.md); others' work and a slower disk make it longer."
    )
    for remark in found.remarks:
        click.echo(f"Worth knowing: {remark}")
    if not found.refused:
        click.echo("Nothing stands in the way.")


@group.command("verify")
@OF_ENV
@click.option("--problems", is_flag=True, help="Only what is wrong, or worth knowing.")
@with_appcontext
@sentences
def verify(env: str | None, problems: bool) -> None:
    """Hold a database against this code: schema, totals, claims and invariants. Nothing is changed.

    Takes a database of an earlier system as well, and says what is there and what is missing. Ends with status 1 when
    anything is wrong. Reads whole tables.
    """
    address = address_of(env)
    database = database_at(address)
    with reading(address) as connection, database.read_only() as session:
        sections = verifying.look(connection, session, now=database.clock())
    click.echo(f"{name_of(address)}\n")
    for section in sections:
        click.echo(f"{section.title}: {len(section.lines)} looked at, {section.wrong} wrong")
        for line in report.table(section, problems_only=problems):
            click.echo(f"  {line}")
        click.echo()
    wrong = sum(section.wrong for section in sections)
    if wrong:
        parts = ", ".join(f"{section.title.lower()} {section.wrong}" for section in sections if section.wrong)
        raise click.ClickException(f"{wrong} things are not as they are to be ({parts}). What to do: {RUNBOOK}")
    click.echo("Everything is as it is to be.")


RUNBOOK = "docs/runbooks/migrating.md"
