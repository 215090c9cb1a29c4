"""`flask guests`: people of earlier systems become guests at WorkOS, and nobody is written to."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from admin_app.cli.operator import database, refusals_as_sentences, work
from admin_app.errors import DomainError
from admin_app.integrations import clerk
from admin_app.integrations.clerk import clerk_exports
from admin_app.integrations.guest_ports import WorkosPort
from admin_app.integrations.http.guard import Limits
from admin_app.integrations.http.pace import Pace
from admin_app.integrations.ports import ClerkPort
from admin_app.integrations.workos import workos_api
from admin_app.services.move_in import guest_backfill, guest_import, guest_organizations

BACKFILL, FROM_CLERK = "flask guests backfill", "flask guests from-clerk"
# WorkOS takes 100 a second of one key, and 50 that change users; the product's own visitors need most of them.
CALLS_PER_SECOND = 20.0
SECONDS_BETWEEN_LINES = 2.0

group = click.Group("guests", help="People of earlier systems as guests at WorkOS.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only look who is there, and say what would be done.")
LIMIT = click.option("--limit", type=click.IntRange(min=1), help="Stop after this many people.")
PER_SECOND = click.option(
    "--per-second",
    type=click.FloatRange(min=0.01, max=100),
    default=CALLS_PER_SECOND,
    show_default=True,
    help="Calls of a provider in a second, at most. Somebody new takes five.",
)


@group.command("backfill")
@DRY_RUN
@LIMIT
@PER_SECOND
@click.option(
    "--replace-unknown-organizations",
    "replaces",
    is_flag=True,
    help="Give meetings that name an organization which nobody knows their guest's own; the history keeps the old id.",
)
@with_appcontext
@refusals_as_sentences
def backfill(dry_run: bool, limit: int | None, per_second: float, replaces: bool) -> None:
    """Register the guest of every meeting that has none at WorkOS yet, and link the meeting.

    May be stopped at any time and run again: what is done is done. Ends with status 1 when something failed.
    """
    progress = _Progress()
    run = guest_backfill.Run(
        work=lambda: work(BACKFILL),
        read=lambda: database().read_only(),
        workos=_workos(per_second),
        dry_run=dry_run,
        limit=limit,
        failed=_show_failure,
        seen=lambda tally: progress.show(f"{tally.guests} guests, {tally.linked} meetings linked"),
    )

    def steps() -> None:
        guest_backfill.register_all(run)
        guest_backfill.complete_linked(run)
        if not run.is_over:
            guest_organizations.turn_all(run, replaces_unknown=replaces)

    _run(
        steps,
        lambda: _show_backfill(run.tally, "would be " if dry_run else ""),
        lambda: run.tally.failed,
        dry_run=dry_run,
    )


@group.command("from-clerk")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An export: JSON as the users API lists them, or the dashboard's CSV.",
)
@click.option("--api", "asks", is_flag=True, help="Ask Clerk's API, with the key in the settings.")
@click.option(
    "--exported-at",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]),
    help="When a CSV was exported, with its zone: 2026-11-30T08:00+0000. It does not say so itself.",
)
@DRY_RUN
@LIMIT
@PER_SECOND
@with_appcontext
@refusals_as_sentences
def from_clerk(
    file: Path | None, asks: bool, exported_at: datetime | None, dry_run: bool, limit: int | None, per_second: float
) -> None:
    """Make Clerk's people guests at WorkOS, by their verified primary address, and keep their verified addresses.

    May be stopped at any time and run again: what is done is done. Ends with status 1 when something failed.
    """
    if (file is None) == (not asks):
        raise click.UsageError("Say where the people are: either --file or --api.")
    progress = _Progress()
    run = guest_import.Run(
        work=lambda: work(FROM_CLERK),
        read=lambda: database().read_only(),
        workos=_workos(per_second),
        dry_run=dry_run,
        limit=limit,
        failed=lambda user_id, sentence: click.echo(f"{user_id}: {sentence}"),
        seen=lambda tally: progress.show(f"{tally.people} people"),
    )

    def steps() -> None:
        if file is not None:
            run.take(clerk_exports.read(file, exported_at=exported_at))
        else:
            run.take(run.everybody(_clerk(per_second)))

    _run(
        steps,
        lambda: _show_people(run.tally, "would be " if dry_run else ""),
        lambda: run.tally.failed,
        dry_run=dry_run,
    )


def _run(steps: Callable[[], None], summary: Callable[[], None], failed: Callable[[], int], *, dry_run: bool) -> None:
    """The steps, then what they came to, also when they end early."""
    try:
        steps()
    except DomainError:
        summary()
        raise
    summary()
    if dry_run:
        click.echo("Nothing was changed. Run it again without --dry-run.")
    if failed():
        raise click.exceptions.Exit(1)


def _limits(per_second: float) -> Limits:
    return Limits(calls=1, seconds_for_room=60, pace=Pace(per_second))


def _workos(per_second: float) -> WorkosPort:
    settings = current_app.extensions["backdesk"].settings
    if not (settings.workos_api_key and settings.workos_client_id):
        raise click.ClickException("WorkOS is not configured: set WORKOS_API_KEY and WORKOS_CLIENT_ID.")
    return workos_api.client(settings, _limits(per_second))


def _clerk(per_second: float) -> ClerkPort:
    settings = current_app.extensions["backdesk"].settings
    if not (settings.clerk_secret_key and settings.clerk_issuer):
        raise click.ClickException("Clerk is not configured: set CLERK_ISSUER and CLERK_SECRET_KEY.")
    return clerk.client(settings, _limits(per_second))


def _show_failure(failure: guest_backfill.Failure) -> None:
    numbers = ", ".join(map(str, failure.meetings)) + (f" and {failure.more} more" if failure.more else "")
    click.echo(f"meeting {numbers}: {failure.sentence}")


def _show_backfill(tally: guest_backfill.Tally, would: str) -> None:
    _lines(
        (tally.made, f"guests {would}made at WorkOS"),
        (tally.found, "guests found there"),
        (tally.without_organization, "of them without an organization of their own, which they would get"),
        (tally.linked, f"meetings {would}linked"),
        (tally.organizations, f"local organization ids {would}turned into WorkOS ids"),
        (tally.replaced, f"unknown organizations {would}replaced by the guest's own"),
        (tally.failed, "failed"),
    )


def _show_people(tally: guest_import.Tally, would: str) -> None:
    _lines(
        (tally.people, "people read"),
        (tally.made, f"{would}made at WorkOS"),
        (tally.found, "found there"),
        (tally.known, "registered before"),
        (tally.unverified, "without a verified primary address, left out"),
        (tally.barred, "banned or deleted, left out"),
        (tally.failed, "failed"),
    )


def _lines(*counted: tuple[int, str]) -> None:
    for number, words in counted:
        click.echo(f"{number:>8} {words}")


class _Progress:
    """On standard error, every few seconds."""

    def __init__(self) -> None:
        self._shown_at = time.monotonic()

    def show(self, words: str) -> None:
        now = time.monotonic()
        if now - self._shown_at >= SECONDS_BETWEEN_LINES:
            self._shown_at = now
            click.echo(f"{words}…", err=True)
