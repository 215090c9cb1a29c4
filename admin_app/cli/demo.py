"""`flask demo`: a believable business in an empty database, and customers who buy in front of your eyes."""

import os
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import click
import httpx
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from admin_app.cli import operator
from admin_app.config import Settings
from admin_app.db import Database
from admin_app.demo import fill as filling
from admin_app.demo import guard, simulated
from admin_app.errors import DomainError
from admin_app.simulator import control
from models import PendingProfile, Profile

P = ParamSpec("P")
T = TypeVar("T")

SIMULATOR_START_SECONDS = 10
ARRIVAL_SECONDS = 10
SHAPES = ("v1", "pinned", "v5", "v2")

group = click.Group("demo")


def _refusals_as_sentences(command: Callable[P, T]) -> Callable[P, T]:
    """A refusal ends the command with its sentence and exit code 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except DomainError as refused:
            raise click.ClickException(refused.sentence) from refused
        except httpx.HTTPError as away:
            raise click.ClickException("The provider simulator does not answer. Start it with `make run`.") from away
        except OperationalError as away:
            raise click.ClickException("The database does not answer. Check DATABASE_URL.") from away
        except ProgrammingError as unready:
            raise click.ClickException("The database is not migrated yet. Run `make migrate` first.") from unready

    return run


def _database() -> Database:
    database: Database = operator.database()
    return database


def _settings() -> Settings:
    settings: Settings = current_app.extensions["backdesk"].settings
    return settings


@group.command("fill")
@with_appcontext
@_refusals_as_sentences
def fill() -> None:
    """Fill an empty database, once; the simulator learns the same customers."""
    begun = time.monotonic()
    with _database().read_only() as session:
        there = filling.is_filled(session)
    if there:
        click.echo("The demo data is there already.")
    else:
        _fill_now()
        click.echo(f"Filled in {time.monotonic() - begun:.0f} s.")
    _seed_if_there()


def _fill_now() -> None:
    settings = _settings()
    real = guard.real_providers(settings)
    if real:
        click.echo(f"Note: {', '.join(real)} of these settings is real, the customers filled in here are not.")
    with _database().unit_of_work(filling.ACTOR) as ctx:
        filled = filling.fill(
            ctx,
            password=os.environ.get("DEMO_STAFF_PASSWORD", ""),
            base_url=settings.base_url,
            say=lambda line: click.echo(f"  {line}"),
        )
    click.echo(
        f"{filled.profiles:,} profiles, {filled.purchases:,} purchases ({filled.unclaimed:,} unclaimed), "
        f"{filled.clients:,} clients, {filled.bookings:,} bookings."
    )


def _seed_if_there() -> None:
    """With a simulator configured and up, tell it; without one the data stands for itself."""
    try:
        simulator = guard.simulator_of(_settings())
        _wait_for(simulator)
        _seed(simulator)
    except guard.NoSimulator:
        click.echo("No provider simulator is configured, so Whop and Clerk were told nothing.")
    except httpx.HTTPError:
        click.echo("The provider simulator does not answer. Tell it later with: flask --app wsgi demo seed-simulator")


def _wait_for(simulator: str) -> None:
    """It may be starting beside this command."""
    deadline = time.monotonic() + SIMULATOR_START_SECONDS
    while True:
        try:
            control.deliveries(simulator)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _seed(simulator: str) -> None:
    with _database().read_only() as session:
        memberships, people = simulated.seed(session, simulator)
    click.echo(f"The simulator knows {memberships:,} Whop memberships and {people:,} Clerk users.")


@group.command("seed-simulator")
@with_appcontext
@_refusals_as_sentences
def seed_simulator() -> None:
    """Tell the simulator what the demo data says; doing it again changes nothing."""
    simulator = guard.simulator_of(_settings())
    with _database().read_only() as session:
        if not filling.is_filled(session):
            raise click.ClickException("This database does not hold the demo's data, so nobody was told anything.")
    _seed(simulator)


@group.command("purchase")
@click.option("--email", required=True, help="The address typed at checkout.")
@click.option("--name", default="Demo Customer", show_default=True)
@click.option("--plan", type=click.Choice(["monthly", "yearly"]), default="monthly", show_default=True)
@click.option("--shape", type=click.Choice(SHAPES), default="v1", show_default=True, help="Form of Whop's deliveries.")
@click.option("--no-deliver", is_flag=True, help="Whop knows the purchase, but its webhooks are lost.")
@with_appcontext
@_refusals_as_sentences
def purchase(email: str, name: str, plan: str, shape: str, no_deliver: bool) -> None:
    """Buy a membership at the simulated Whop, which tells the product by webhook."""
    settings = _settings()
    simulator = guard.simulator_of(settings)
    made = control.purchase(simulator, email=email, name=name, plan=plan, event=shape, deliver=not no_deliver)
    membership_id = made["membership_id"]
    click.echo(f"Whop sold a {plan} membership: {membership_id}")
    if no_deliver:
        click.echo("Its webhooks are lost. Bring it in with: flask --app wsgi reconcile whop")
        return
    click.echo(_what_became_of(membership_id, settings.base_url))


def _what_became_of(membership_id: str, base_url: str) -> str:
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < deadline:
        with _database().read_only() as session:
            found = _held_as(session, membership_id, base_url)
        if found:
            return found
        time.sleep(0.3)
    return (
        f"No purchase of it is here yet: the web server or the worker does not run, or the event is parked. "
        f"See {base_url}/admin/webhook-events/?q={membership_id}"
    )


def _held_as(session: Session, membership_id: str, base_url: str) -> str | None:
    pending = session.scalar(select(PendingProfile.id).where(PendingProfile.whop_membership_id == membership_id))
    if pending is not None:
        return f"It waits for its owner: {base_url}/admin/purchases/{pending}"
    profile = session.scalar(select(Profile.user_id).where(Profile.whop_membership_id == membership_id))
    if profile is not None:
        return f"Its owner has a profile, which is pro now: {base_url}/admin/profiles/{profile}"
    return None
