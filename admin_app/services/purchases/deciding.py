"""What is to happen to a membership of which a provider says that it is paid: decided from rows that are locked."""

from enum import Enum

from admin_app.services.memberships import Holder, news
from admin_app.services.memberships.news import MembershipSnapshot
from admin_app.services.memberships.rows import DELETED
from models.memberships import ProviderMembership


class Decision(Enum):
    """What is to happen, and why."""

    IGNORE = "it makes nobody pro, and nobody holds it"
    SUPERSEDED = "something newer was applied before"
    RECEIVE = "nobody holds it: it goes to whoever has its address, or waits under it"
    FILL_IN = "newer news were applied: these only fill what those left open"
    LOSE = "its holder has nothing by it any more: it changed to what makes nobody pro"
    PAY = "it serves its holder"


def decide(row: ProviderMembership | None, holder: Holder | None, snapshot: MembershipSnapshot) -> Decision:
    """What follows from the snapshot for the membership as it is known here and whoever holds it; changes nothing."""
    makes_nobody_pro = snapshot.ignored_because is not None or stays_ignored(row, snapshot)
    if holder is None and makes_nobody_pro:
        return Decision.IGNORE
    deleted_at = row.ignored_at if row is not None and row.ignored_because == DELETED else None
    if deleted_at is not None and snapshot.occurred_at <= deleted_at:
        return Decision.SUPERSEDED
    if row is None or holder is None:
        return Decision.RECEIVE
    if news.is_older(row, snapshot, purchase=True):
        return Decision.FILL_IN
    return Decision.LOSE if makes_nobody_pro else Decision.PAY


def stays_ignored(row: ProviderMembership | None, snapshot: MembershipSnapshot) -> bool:
    """Whether the snapshot does not say what was bought, of a membership that was ignored for that."""
    if row is None or row.ignored_because in (None, DELETED):
        return False
    return snapshot.product_id is None and snapshot.plan_id is None
