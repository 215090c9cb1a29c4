"""Web applications that tests take turns with: to build one, with its templates, takes longer than most tests.

An application is the same for the same settings. What differs from test to test, the database and the providers with
what they remember of failures, is new each time. A test that changes an application builds one of its own
(`create_app`, `tests.house.build`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.factory import create_app
from admin_app.integrations import registry
from admin_app.integrations.registry import Providers
from views.backdesk import EXTENSION, Backdesk

_Kind = tuple[str, Callable[[Flask], None] | None]
_as_built: dict[Flask, dict[str, Any]] = {}
_idle: defaultdict[_Kind, list[Flask]] = defaultdict(list)


def _built(
    settings: Settings, database: Database, providers: Providers | None, prepare: Callable[[Flask], None] | None
) -> Flask:
    app = create_app(settings, database=database, providers=providers)
    if prepare is not None:
        prepare(app)
    _as_built[app] = dict(app.extensions)
    return app


class Applications:
    """Those that one test has; two for the same settings are two."""

    def __init__(self) -> None:
        self._lent: list[tuple[_Kind, Flask]] = []

    def lend(
        self,
        settings: Settings,
        database: Database,
        providers: Providers | None = None,
        *,
        client: type[FlaskClient] | None = None,
        prepare: Callable[[Flask], None] | None = None,
    ) -> Flask:
        """One on this database until the end of the test, whose test clients are of this type.

        With `prepare`, one on which that was done when it was built.
        """
        # It reaches its database through what is put in below only.
        kind = (settings.model_dump_json(exclude={"database_url"}), prepare)
        app = _idle[kind].pop() if _idle[kind] else _built(settings, database, providers, prepare)
        self._lent.append((kind, app))
        given = registry.from_settings(settings) if providers is None else providers
        app.extensions = {**_as_built[app], EXTENSION: Backdesk(database, settings, given)}
        app.testing, app.test_client_class = client is not None, client
        return app

    def take_back(self) -> None:
        """The test is over: the next one with the same settings has them."""
        for kind, app in self._lent:
            _idle[kind].append(app)
        self._lent.clear()


@contextmanager
def lending() -> Iterator[Applications]:
    """Applications until the block ends."""
    applications = Applications()
    try:
        yield applications
    finally:
        applications.take_back()
