"""The steps of a client's onboarding: what is missing, and since when."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from views.console.viewer import Viewer


def panel(session: Session, client_id: int, now: datetime, viewer: Viewer) -> dict[str, Any]:
    """What `console/clients/onboarding_panel.html` shows."""
    return {}
