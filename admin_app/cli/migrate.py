"""`flask migrate plan | apply | verify | rollback`: what a migration would do here, does, did, and the way back."""

import textwrap
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from flask.cli import with_appcontext
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from admin_app.cli.environments import ENVIRONMENTS, address_of, database_at, name_of, reading, sentences
from admin_app.services.migrating import backup, planning, report, running, surroundings, verifying, way_back
from admin_app.services.migrating.planning import Plan
from admin_app.services.migrating.revisions import Place
from admin_app.services.migrating.way_back import WayBack
from migrations import trouble

group = click.Group("migrate", help="What a migration would do to a database, does, did, and the way back.")
OF_ENV = click.option(
    "--env", type=click.Choice(ENVIRONMENTS), help="DATABASE_URL_<ENV> is taken where it is set, else DATABASE_URL."
)

ENV_NEEDED = click.option(
    "--env",
    type=click.Choice(ENVIRONMENTS),
    required=True,
    help="DATABASE_URL_<ENV> is taken where it is set, else DATABASE_URL. For prod the name of the database is asked.",
)
YES = click.option("--yes", is_flag=True, help="Ask nothing. For prod this needs --backup FILE or --backup-done.")
BACKUP = click.option(
    "--backup", "target", type=click.Path(dir_okay=False, path_type=Path), help="Make a backup first, by pg_dump."
)
BACKUP_DONE = click.option("--backup-done", is_flag=True, help="There is a backup already, and it was tried.")
DESPITE = click.option("--despite-others", is_flag=True, help="Begin although others have long transactions open.")
PROD = "prod"
OTHER_MIGRATION_SECONDS = 600.0
RUNBOOK = "docs/runbooks/migrating.md"


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
        at_work = surroundings.migrator(connection)
    if at_work:
        click.echo(f"Process {at_work} is migrating this database: what follows is neither before nor after.")
    click.echo(f"{name_of(address)}\n{found.place.sentence}")
    _show_plan(found)
    if found.refused:
        raise click.ClickException(f"{found.refused}\nWhat to do: {RUNBOOK}")


def _told(what: str, text: str) -> None:
    """A part of what is said of one revision, in lines of a terminal's width."""
    click.echo(textwrap.fill(f"{what:7} {text}", 118, initial_indent=" " * 6, subsequent_indent=" " * 14))


def _show_plan(found: Plan) -> None:
    if not found.steps:
        click.echo("Nothing is to be done.")
        return
    for step in found.steps:
        click.echo(f"\n{step.revision}  {step.idea}")
        _told("here:", "; ".join(step.work.changes) or "nothing that is not there already")
        _told("rows:", step.work.told_rows())
        _told("locks:", step.locks)
        _told("about:", f"{step.work.seconds:,.1f} s")
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


@dataclass(frozen=True)
class Caution:
    """What the operator gave instead of answers."""

    env: str
    yes: bool
    target: Path | None
    backup_done: bool
    despite_others: bool


@group.command("apply")
@ENV_NEEDED
@YES
@BACKUP
@BACKUP_DONE
@DESPITE
@with_appcontext
@sentences
def apply(env: str, yes: bool, target: Path | None, backup_done: bool, despite_others: bool) -> None:
    """Bring a database to the newest revision, after what a careful operator asks.

    May be interrupted and run again: what is done is kept, and the rest is done then.
    """
    caution = Caution(env, yes, target, backup_done, despite_others)
    address = address_of(env)
    with reading(address) as connection:
        found = _settled(connection)
        click.echo(f"{env}: {name_of(address)}\n{found.place.sentence}\n{surroundings.code()}")
        if not found.steps:
            click.echo("Nothing is to be done.")
            return
        if found.refused:
            raise click.ClickException(f"{found.refused}\nWhat to do: {RUNBOOK}")
        for step in found.steps:
            click.echo(f"  {step.revision}  {step.idea}  (about {step.work.seconds:,.1f} s)")
        for remark in found.remarks:
            click.echo(f"Worth knowing: {remark}")
        _ask(connection, address, caution, found.place, f"{len(found.steps)} revisions, about {found.seconds:,.0f} s.")
    with trouble.in_sentences(make_url(address)):
        running.upgrade(address, count=len(found.steps), tell=click.echo)
    click.echo(f"Done. Look at the result: flask migrate verify --env {env}")


@group.command("rollback")
@ENV_NEEDED
@click.option("--to", required=True, help="The revision to go back to; `base` is before them all.")
@YES
@BACKUP
@BACKUP_DONE
@DESPITE
@with_appcontext
@sentences
def rollback(env: str, to: str, yes: bool, target: Path | None, backup_done: bool, despite_others: bool) -> None:
    """Go back to an earlier revision, after saying what is kept aside in the schema `retired` and what goes.

    The same revisions applied again bring back what was kept.
    """
    caution = Caution(env, yes, target, backup_done, despite_others)
    address = address_of(env)
    with reading(address) as connection:
        if surroundings.migrator(connection):
            raise click.ClickException(AT_WORK)
        found = way_back.look(connection, to)
        click.echo(f"{env}: {name_of(address)}\n{found.place.sentence}\n{surroundings.code()}")
        if found.refused:
            raise click.ClickException(found.refused)
        _show_way_back(found, to)
        _ask(connection, address, caution, found.place, f"{len(found.steps)} revisions are taken back.")
    with trouble.in_sentences(make_url(address)):
        running.downgrade(address, to, count=len(found.steps), tell=click.echo)
    click.echo(f"Done. This code does not fit the database any more: start the release that belongs to {to}.")


def _show_way_back(found: WayBack, to: str) -> None:
    for step in found.steps:
        click.echo(f"\n{step.revision}  {step.idea}")
        _told("kept:", "; ".join(step.kept) or "nothing has to be")
        _told("goes:", "; ".join(step.gone) or "nothing")
    click.echo(
        "\nWhat is kept lies in the schema retired, unseen by earlier code, and comes back with the upgrade. "
        f"What was written into it after the way back to {to} is not there. Indexes, rules and triggers are made anew."
    )


def _settled(connection: Connection) -> Plan:
    """The plan, once no other migration of this database is at work; ends the command when one goes on for long."""
    deadline = time.monotonic() + OTHER_MIGRATION_SECONDS
    while time.monotonic() < deadline:
        if surroundings.migrator(connection) is None:
            found = planning.plan(connection)
            if surroundings.migrator(connection) is None:
                return found
        time.sleep(0.5)
    raise click.ClickException(AT_WORK)


def _ask(connection: Connection, address: str, caution: Caution, place: Place, what: str) -> None:
    """Go through what a careful operator asks; ends the command where an answer is no."""
    room = surroundings.room(connection)
    click.echo(room.sentence)
    others = surroundings.busy(connection)
    for sentence in (*others, *filter(None, [surroundings.unseen(connection)])):
        click.echo(sentence)
    if (others or room.is_short) and not caution.despite_others:
        wait = "Indexes wait for such transactions, and changes of tables give way to them and try again."
        if caution.yes:
            raise click.ClickException(f"{wait} End them or make room, or say --despite-others. {UNTOUCHED}")
        click.confirm(f"{wait} Go on all the same?" if others else "Go on all the same?", abort=True)
    if place.has_tables:
        _secure(connection, address, caution)
    if caution.yes:
        return
    name = str(make_url(address).database)
    if caution.env != PROD:
        click.confirm(f"{what} Begin?", abort=True)
    elif click.prompt(f"{what} This is prod. Type the name of the database to begin") != name:
        raise click.ClickException(f"That is not its name. {UNTOUCHED}")


def _secure(connection: Connection, address: str, caution: Caution) -> None:
    """A backup is made, or somebody says that there is one."""
    if caution.target is not None:
        click.echo(backup.take(connection, address, caution.target))
    elif caution.backup_done:
        click.echo("There is a backup, as you say.")
    elif caution.yes and caution.env == PROD:
        raise click.ClickException(f"Without a question, prod needs --backup FILE or --backup-done. {UNTOUCHED}")
    elif caution.yes:
        click.echo("No backup is made.")
    elif not click.confirm("Is there a backup of this database, and was it tried?"):
        now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        suggested = f"{make_url(address).database}-{now}.dump"
        target = click.prompt("One is made now, by pg_dump. In which file?", default=suggested, type=str)
        click.echo(backup.take(connection, address, Path(target)))


UNTOUCHED = "Nothing has been changed."
AT_WORK = f"Another process is migrating this database. Try again when it has ended. {UNTOUCHED}"
