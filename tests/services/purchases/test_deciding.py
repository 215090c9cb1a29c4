"""What follows from a provider's news of a paid membership: decided from the rows alone."""

from datetime import timedelta
from typing import Any

import pytest

from admin_app.services.memberships.pro_rules import OTHER
from admin_app.services.memberships.rows import DELETED
from admin_app.services.purchases.deciding import Decision, decide
from models import Profile
from models.memberships import MembershipStatus, ProviderMembership
from tests.services.factories import NOON, facts

SECOND = timedelta(seconds=1)
HOLDER = Profile(user_id="user_1")
IGNORED = {"ignored_because": OTHER}


def row(**values: Any) -> ProviderMembership:
    return ProviderMembership(status=MembershipStatus.ACTIVE, **values)


@pytest.mark.parametrize(
    ("known", "holder", "said", "decision"),
    [
        (None, None, {}, Decision.RECEIVE),
        (None, None, IGNORED, Decision.IGNORE),
        (row(), None, {}, Decision.RECEIVE),
        (row(**IGNORED), None, {}, Decision.IGNORE),
        (row(**IGNORED), None, {"product_id": "prod_1"}, Decision.RECEIVE),
        (row(ignored_because=DELETED, ignored_at=NOON), None, {}, Decision.SUPERSEDED),
        (row(ignored_because=DELETED, ignored_at=NOON - SECOND), None, {}, Decision.RECEIVE),
        (row(provider_event_at=NOON - SECOND), HOLDER, {}, Decision.PAY),
        (row(provider_event_at=NOON + SECOND), HOLDER, {}, Decision.FILL_IN),
        (row(provider_event_at=NOON + SECOND), HOLDER, IGNORED, Decision.FILL_IN),
        (row(provider_event_at=NOON - SECOND), HOLDER, IGNORED, Decision.LOSE),
        (row(provider_event_at=NOON - SECOND, **IGNORED), HOLDER, {"plan_id": "plan_1"}, Decision.PAY),
    ],
)
def test_it_is_decided_by_what_is_known_and_what_is_said(
    known: ProviderMembership | None, holder: Profile | None, said: dict[str, Any], decision: Decision
) -> None:
    assert decide(known, holder, facts(**said)) is decision
