"""What Stripe says about a client beside what is in force."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from views.console.viewer import Viewer


def panel(session: Session, client_id: int, now: datetime, viewer: Viewer) -> dict[str, Any]:
    """What `console/clients/billing_panel.html` shows."""
    return {}
