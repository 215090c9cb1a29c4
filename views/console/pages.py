"""Every page of the console, found in the rooms: writing one is enough, nowhere is a list of them."""

from collections.abc import Iterator
from importlib import import_module
from inspect import getmembers, isclass
from pathlib import Path
from typing import TypeVar

from flask import Flask

from views.console.core.home import HomeView
from views.console.framework import base
from views.console.framework.base import ConsoleModelView, ConsoleView
from views.console.framework.exporting import ListTables

View = TypeVar("View", ConsoleModelView, ConsoleView)

LAST = 10**6
# All of them before any is looked at, so that it is known which classes others derive from.
MODULES = [
    import_module(".".join((__package__, path.parent.name, path.stem)))
    for path in sorted(Path(__file__).parent.glob("*/*.py"))
]


def _found(kind: type[View]) -> Iterator[type[View]]:
    """The classes of this kind that a room defines; one that others derive from is a part of them and no page."""
    for module in MODULES:
        for _, found in getmembers(module, isclass):
            if issubclass(found, kind) and found.__module__ == module.__name__ and not found.__subclasses__():
                yield found


def _place(view: type[ConsoleModelView | ConsoleView]) -> tuple[int, str]:
    return (view.in_menu.place if view.in_menu else LAST, view.__name__)


# In the order of the menu, which is the order in which the search shows what it found.
SECTIONS: tuple[type[ConsoleModelView], ...] = tuple(sorted(_found(ConsoleModelView), key=_place))
PAGES: tuple[type[ConsoleView], ...] = tuple(
    sorted((page for page in _found(ConsoleView) if page is not HomeView), key=_place)
)


def lists() -> ListTables:
    """Every list, as it is exported."""
    return ListTables({section.listing.section: section for section in SECTIONS})


def register(app: Flask) -> None:
    """Put the console on the application."""
    base.register(app, HomeView(), [*(section() for section in SECTIONS), *(page() for page in PAGES)])
