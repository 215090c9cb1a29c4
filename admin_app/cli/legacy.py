"""`flask legacy`: moving in from earlier systems, and purchases (`temp_` rows) that still lie among the profiles."""

import click
from flask.cli import with_appcontext

from admin_app.cli import move_in
from admin_app.cli.operator import database, refusals_as_sentences, work
from admin_app.services.purchases import legacy

AT_ONCE = 200

group = click.Group("legacy", help="Bring over what earlier systems hold, and prove it.")
for command in move_in.COMMANDS:
    group.add_command(command)


@group.command("status")
@with_appcontext
@refusals_as_sentences
def status() -> None:
    """How many are left, and how many of them cannot be moved as they are."""
    with database().read_only() as session:
        found = legacy.status(session)
    click.echo(f"{found.left} left; {found.without_email} of them name no e-mail and stay.")


@group.command("move")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many.")
@with_appcontext
@refusals_as_sentences
def move(limit: int | None) -> None:
    """Move them, a few hundred in each transaction; may be stopped and run again at any time."""
    total = 0
    while limit is None or total < limit:
        with work("flask legacy") as ctx:
            moved = legacy.move(ctx, limit=min(AT_ONCE, (limit or AT_ONCE + total) - total))
        total += moved
        if not moved:
            break
        click.echo(f"{total} moved…", err=True)
    with database().read_only() as session:
        left = legacy.status(session).left
    click.echo(f"{total} moved, {left} left.")
