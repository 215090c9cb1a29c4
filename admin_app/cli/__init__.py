"""The operator's commands, `flask --app wsgi <group> <command>`; each module here holds one group."""

from importlib import import_module

import click
from flask import Flask

from admin_app.cli import calendly, guests, inbox, legacy, migrate, reconcile, staff, verify


class _Demo(click.Group):
    """`flask demo`: it and the simulator are loaded when one of its commands is asked for, and never by a server."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return _demo().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _demo().get_command(ctx, cmd_name)


def register(app: Flask) -> None:
    """Add every group of commands."""
    for module in (staff, reconcile, inbox, calendly, verify, legacy, guests, migrate):
        app.cli.add_command(module.group)
    app.cli.add_command(
        _Demo("demo", help="Fill an empty database with a believable business, and play its customers.")
    )


def _demo() -> click.Group:
    group: click.Group = import_module("admin_app.cli.demo").group
    return group
