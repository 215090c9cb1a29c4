"""`flask reconcile`: compare with a provider now, instead of at the next full hour."""

import click
from flask.cli import with_appcontext

from admin_app.cli.operator import database, providers, refusals_as_sentences
from admin_app.context import Job
from admin_app.services import whop_comparison
from admin_app.services.whop_comparison import Counts

WORDS = {
    "brought_in": "brought in",
    "updated": "updated",
    "known": "known already",
    "ended_unseen": "ended before they were seen",
    "deleted_by_staff": "deleted here by staff",
    "refused": "could not be applied",
}

group = click.Group("reconcile", help="Compare with a provider and bring in what no event brought.")


@group.command("whop")
@with_appcontext
@refusals_as_sentences
def reconcile_whop() -> None:
    """List every membership at Whop and bring in what is missing here."""
    whop, db = providers().whop, database()
    if whop is None:
        raise click.ClickException("Whop is not configured: set WHOP_API_KEY.")
    counts = whop_comparison.compare(whop, lambda: db.unit_of_work(Job("flask reconcile")), seen=_progress)
    click.echo("", err=True)
    click.echo(f"{counts.seen} memberships compared.")
    for outcome, number in counts.outcomes.items():
        click.echo(f"{number:>8} {WORDS.get(outcome, outcome)}")


def _progress(counts: Counts) -> None:
    if counts.seen % 20 == 0:
        click.echo(f"\r{counts.seen} compared…", nl=False, err=True)
