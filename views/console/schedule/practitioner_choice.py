"""The practitioners that a page lets one choose from."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Practitioner
from views.console.framework.filters import whole_number

# A choice of more would not be one any more: beyond it the way is from the practitioner's own page.
MOST_CHOICES = 200


def practitioner_choices(session: Session, chosen: str) -> list[tuple[str, str]]:
    """Number and name of those in use, by name, and of the chosen one in any case."""
    rows = session.execute(
        select(Practitioner.id, Practitioner.name)
        .where(Practitioner.active | (Practitioner.id == (whole_number(chosen) or 0)))
        .order_by(Practitioner.name, Practitioner.id)
        .limit(MOST_CHOICES)
    )
    return [(str(key), name) for key, name in rows]
