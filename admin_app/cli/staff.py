"""`flask staff`: who may come into the console, for whoever runs the server."""

import sys
from datetime import datetime

import click
from flask.cli import with_appcontext

from admin_app.cli.operator import refusals_as_sentences, work
from admin_app.context import Ctx
from admin_app.services import staff
from admin_app.services.staff import sign_in_limits, staff_sessions
from models import Role, StaffMember

COMMAND = "flask staff"
ROLES = click.Choice([role.value for role in Role], case_sensitive=False)

group = click.Group("staff", help="Create, change and list the people who may sign in to the console.")


def _password_from_stdin(wanted: bool) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if wanted else None


def _show_password(generated: str | None) -> None:
    if generated is not None:
        click.echo(f"Password (shown only now): {generated}")


reason_option = click.option("--reason", help="Why; kept in the audit.")
stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of making one up."
)


@group.command("create")
@click.argument("email")
@click.option("--name", help="The person's name; the part before the @ when left out.")
@click.option("--role", type=ROLES, required=True)
@stdin_option
@reason_option
@with_appcontext
@refusals_as_sentences
def create(email: str, name: str | None, role: str, password_stdin: bool, reason: str | None) -> None:
    """Add a person who may sign in."""
    password = _password_from_stdin(password_stdin)
    with work(COMMAND) as ctx:
        called = name or email.partition("@")[0]
        member, generated = staff.create_staff(
            ctx, email=email, name=called, role=Role(role), password=password, reason=reason
        )
    click.echo(f"Created {member.email} with the role {member.role.value}.")
    _show_password(generated)


@group.command("disable")
@click.argument("email")
@reason_option
@with_appcontext
@refusals_as_sentences
def disable(email: str, reason: str | None) -> None:
    """Close an account and end its sessions."""
    with work(COMMAND) as ctx:
        member = staff.disable_staff(ctx, staff_id=_id(ctx, email), reason=reason)
    click.echo(f"Disabled {member.email}; every session is ended.")


@group.command("enable")
@click.argument("email")
@reason_option
@with_appcontext
@refusals_as_sentences
def enable(email: str, reason: str | None) -> None:
    """Open an account again, or lift the wait after failed sign-ins."""
    with work(COMMAND) as ctx:
        member = staff.enable_staff(ctx, staff_id=_id(ctx, email), reason=reason)
    click.echo(f"Enabled {member.email}.")


@group.command("reset-password")
@click.argument("email")
@stdin_option
@reason_option
@with_appcontext
@refusals_as_sentences
def reset_password(email: str, password_stdin: bool, reason: str | None) -> None:
    """Set a new password and end every session."""
    password = _password_from_stdin(password_stdin)
    with work(COMMAND) as ctx:
        member, generated = staff.reset_password(ctx, staff_id=_id(ctx, email), password=password, reason=reason)
    click.echo(f"New password set for {member.email}; every session is ended.")
    _show_password(generated)


@group.command("set-role")
@click.argument("email")
@click.argument("role", type=ROLES)
@reason_option
@with_appcontext
@refusals_as_sentences
def set_role(email: str, role: str, reason: str | None) -> None:
    """Give another role and end every session."""
    with work(COMMAND) as ctx:
        member = staff.set_role(ctx, staff_id=_id(ctx, email), role=Role(role), reason=reason)
    click.echo(f"{member.email} has the role {member.role.value} now.")


@group.command("sign-out")
@click.argument("email", required=False)
@click.option("--everyone", is_flag=True, help="End the sessions of the whole staff.")
@reason_option
@with_appcontext
@refusals_as_sentences
def sign_out(email: str | None, everyone: bool, reason: str | None) -> None:
    """End every session of a person, or of everyone; accounts and passwords stay as they are."""
    if bool(email) == everyone:
        raise click.UsageError("Name one person by e-mail, or give --everyone.")
    with work(COMMAND) as ctx:
        members = staff.list_staff(ctx) if everyone else [staff.find_by_email(ctx, email=email or "")]
    ended = 0
    for member in members:
        # One by one: whoever has written to the audit must not wait for sessions that someone else is ending.
        with work(COMMAND) as ctx:
            ended += staff_sessions.revoke_all(ctx, staff_id=member.id, reason=reason)
    click.echo(f"Sessions ended: {ended}.")


@group.command("list")
@with_appcontext
@refusals_as_sentences
def list_all() -> None:
    """Who is on the staff, with role and state."""
    with work(COMMAND) as ctx:
        members = staff.list_staff(ctx)
        now = ctx.now
    if not members:
        click.echo("Nobody yet. Add someone with: flask staff create EMAIL --role admin")
    width = max((len(member.email) for member in members), default=0)
    for member in members:
        state = _state(member, now)
        seen = f"{member.last_signed_in_at:%Y-%m-%d %H:%M} UTC" if member.last_signed_in_at else "never signed in"
        click.echo(f"{member.email:<{width}}  {member.role.value:<8}  {state:<8}  {seen}")


def _state(member: StaffMember, now: datetime) -> str:
    if member.disabled_at is not None:
        return "disabled"
    return "waiting" if sign_in_limits.is_on(member, now) else "active"


def _id(ctx: Ctx, email: str) -> int:
    return staff.find_by_email(ctx, email=email).id
