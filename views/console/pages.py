"""Every page of the console, in one list."""

from flask import Flask

from views.console import base
from views.console.base import ConsoleModelView, ConsoleView
from views.console.home import HomeView
from views.console.sections.bookings import BookingsView
from views.console.sections.my_account import MyAccountView

SECTIONS: tuple[type[ConsoleModelView], ...] = (BookingsView,)
PAGES: tuple[type[ConsoleView], ...] = (MyAccountView,)


def register(app: Flask) -> None:
    """Put the console on the application."""
    base.register(app, HomeView(), [*(section() for section in SECTIONS), *(page() for page in PAGES)])
