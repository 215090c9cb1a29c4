"""What every task works with; made once per worker."""

from dataclasses import dataclass

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations.registry import Providers
from admin_app.services.core.exports import Lists


@dataclass(frozen=True)
class Bench:
    """What every job is given: database, settings and providers. Jobs open their own units of work from it."""

    db: Database
    settings: Settings
    providers: Providers
    # What the console lists; given by whoever starts a worker, because the jobs know no pages.
    lists: Lists | None = None
