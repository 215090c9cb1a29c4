"""What every task works with; made once per worker."""

from dataclasses import dataclass

from admin_app.config import Settings
from admin_app.db import Database
from admin_app.integrations.registry import Providers


@dataclass(frozen=True)
class Bench:
    db: Database
    settings: Settings
    providers: Providers
