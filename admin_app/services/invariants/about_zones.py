"""Time zones: the database knows the same rules as the product."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from admin_app.services.core import zone_rules
from admin_app.services.invariants.rule import Invariant, Moments


def _differing(session: Session, moments: Moments) -> Sequence[str]:
    found = zone_rules.differences(session, zone_rules.in_use(session, moments.now), moments.now)
    return [f"time_zone:{name} {sentence}" for name, sentence in sorted(found.items())]


ZONES_AGREE = Invariant(
    "zone-rules-agree",
    "The database has the same rules as this product for every time zone in use.",
    _differing,
)
