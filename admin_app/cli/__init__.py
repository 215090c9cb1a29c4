"""The operator's commands, `flask --app wsgi <group> <command>`; each module here holds one group."""

from flask import Flask

from admin_app.cli import calendly, demo, guests, inbox, legacy, migrate, reconcile, staff, verify


def register(app: Flask) -> None:
    """Add every group of commands."""
    for module in (staff, demo, reconcile, inbox, calendly, verify, legacy, guests, migrate):
        app.cli.add_command(module.group)
