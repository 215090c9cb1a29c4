"""Every page of the console, in one list."""

from flask import Flask

from views.console import base
from views.console.home import HomeView
from views.console.sections.bookings import BookingsView


def register(app: Flask) -> None:
    """Put the console on the application."""
    base.register(app, HomeView(), (BookingsView(),))
