"""The operator's commands, `flask --app wsgi <group> <command>`; each module here holds one group."""

from importlib import import_module
from importlib.util import find_spec

from flask import Flask

GROUPS = ("staff", "demo", "reconcile", "inbox", "verify", "legacy")


def register(app: Flask) -> None:
    """Add every group; a module that is not there is no command, a broken one is an error."""
    for name in GROUPS:
        if find_spec(f"{__name__}.{name}") is not None:
            app.cli.add_command(import_module(f"{__name__}.{name}").group)
