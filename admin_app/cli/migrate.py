"""`flask migrate plan | apply | verify | rollback`: what a migration would do here, does, did, and the way back."""

import click
from flask.cli import with_appcontext

from admin_app.cli.environments import ENVIRONMENTS, address_of, database_at, name_of, reading, sentences
from admin_app.services.core.migrating import report, verifying

group = click.Group("migrate", help="What a migration would do to a database, does, did, and the way back.")
OF_ENV = click.option(
    "--env", type=click.Choice(ENVIRONMENTS), help="DATABASE_URL_<ENV> is taken where it is set, else DATABASE_URL."
)


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
