"""The switches of a client: what is on, since when, until when, why, and what is scheduled."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from views.console.viewer import Viewer


def panel(session: Session, client_id: int, now: datetime, viewer: Viewer) -> dict[str, Any]:
    """What `console/clients/switches_panel.html` shows."""
    return {}
