"""What a door needs from the application: the database, the settings and the providers.

Doors ask here instead of importing the factory, which stands above them.
"""

from dataclasses import dataclass
from typing import Any, cast

from flask import current_app, g

from admin_app.config import Settings
from admin_app.db import Database

EXTENSION = "backdesk"


@dataclass(frozen=True)
class Backdesk:
    """One application's database, settings and providers; the same for every request."""

    db: Database
    settings: Settings
    providers: Any = None


def backdesk() -> Backdesk:
    """The running application's parts."""
    return cast(Backdesk, current_app.extensions[EXTENSION])


def request_id() -> str:
    """The reference of this request: on its answer, in its log lines and in its audit entries."""
    return cast(str, g.request_id)
