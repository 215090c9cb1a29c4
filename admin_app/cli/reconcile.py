"""`flask reconcile`: compare with a provider now, instead of when its turn comes."""

import click
from flask.cli import with_appcontext

from admin_app.cli.operator import database, providers, refusals_as_sentences
from admin_app.context import Job
from admin_app.services.drift import PROVIDERS, Progress, Side, drift_runs
from admin_app.services.drift.drift_sides import sides

SETTINGS = {
    "stripe": "STRIPE_SECRET_KEY",
    "whop": "WHOP_API_KEY",
    "calendly": "CALENDLY_TOKEN",
    "calcom": "CALCOM_API_KEY",
}
WORDS = {
    "brought_in": "brought in",
    "updated": "updated",
    "known": "known already",
    "ended_unseen": "ended before they were seen",
    "deleted_by_staff": "deleted here by staff",
    "refused": "could not be applied",
}


@click.command("reconcile")
@click.argument("provider", type=click.Choice([*PROVIDERS, "all"]))
@with_appcontext
@refusals_as_sentences
def group(provider: str) -> None:
    """Compare what is held here with PROVIDER, or with all of them, and bring in what no event brought."""
    configured = sides(providers(), database().clock)
    if provider != "all" and provider not in configured:
        raise click.ClickException(f"{PROVIDERS[provider]} is not configured: set {SETTINGS[provider]}.")
    for name, side in configured.items():
        if provider in (name, "all"):
            _compare(side)


def _compare(side: Side) -> None:
    db = database()
    found = drift_runs.compare(side, lambda: db.unit_of_work(Job("flask reconcile")), seen=_progress)
    click.echo("", err=True)
    click.echo(f"{found.compared} {'memberships' if side.provider == 'whop' else 'objects'} compared.")
    for outcome, number in found.outcomes.items():
        click.echo(f"{number:>8} {WORDS.get(outcome, outcome)}")
    click.echo(f"{found.repaired:>8} differences repaired")
    click.echo(f"{found.found:>8} differences to look at")


def _progress(progress: Progress) -> None:
    if progress.compared % 20 == 0:
        click.echo(f"\r{progress.compared} compared…", nl=False, err=True)
