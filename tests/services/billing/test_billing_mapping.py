"""Stripe's words and what they mean here, held against Stripe's document and against ours."""

from datetime import datetime
from itertools import permutations
from pathlib import Path

import pytest

from admin_app.services.subscriptions import billing_mapping
from models import BillingStatus
from tests.contracts import document
from tests.integrations.signing import SHARED_CONTRACTS
from tests.services.client_rows import DAY, NOW, subscription

TABLE = Path(__file__).parents[3] / "docs" / "billing.md"


@pytest.mark.skipif(not SHARED_CONTRACTS.exists(), reason="the collected documents are not here")
def test_every_status_of_stripes_document_has_a_meaning() -> None:
    stated = document("stripe")["components"]["schemas"]["subscription"]["properties"]["status"]["enum"]
    assert set(stated) == billing_mapping.MEANINGS.keys()


def documented() -> dict[str, tuple[str, str]]:
    rows = [line.strip("| \n").split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("|")]
    first = rows[2 : next(number for number, row in enumerate(rows) if row[0].startswith("what is kept"))]
    return {row[0].replace("`", ""): (row[1].strip("`"), row[2]) for row in first}


def test_the_documented_table_is_the_code() -> None:
    asked: dict[str, tuple[str | None, bool]] = {word: (word, False) for word in billing_mapping.MEANINGS}
    asked["active, collection paused"] = ("active", True)
    asked["no subscription"] = (None, False)
    asked["a word that is not in this table"] = ("brand_new", False)
    said = {}
    for words, (status, paused) in asked.items():
        means, payment_active = billing_mapping.meaning(status, collection_paused=paused)
        said[words] = (means.value, "yes" if payment_active else "no")
    assert documented() == said


@pytest.mark.parametrize("word", ["", "ACTIVE", "trialing ", "active\x00", "суб"])
def test_an_unheard_of_word_opens_nothing(word: str) -> None:
    assert billing_mapping.meaning(word) == (BillingStatus.PAST_DUE, False)


@pytest.mark.parametrize(
    ("status", "at_end", "cancel_at", "ended", "pending"),
    [
        ("active", False, None, False, False),
        ("active", True, None, False, True),
        ("trialing", True, None, False, True),
        ("past_due", True, None, False, True),
        ("active", False, NOW + DAY, False, True),
        ("active", False, NOW - DAY, False, False),
        ("canceled", True, NOW + DAY, True, False),
        ("incomplete_expired", True, None, False, False),
        ("active", True, None, True, False),
    ],
)
def test_a_cancellation_is_pending(
    status: str, at_end: bool, cancel_at: datetime | None, ended: bool, pending: bool
) -> None:
    found = subscription(
        status,
        cancel_at_period_end=at_end,
        cancel_at=cancel_at,
        canceled_at=NOW - DAY,
        ended_at=NOW if ended else None,
    )
    assert billing_mapping.pending_cancellation(found, NOW) is pending
    assert billing_mapping.cancellation_requested_at(found, NOW) == (NOW - DAY if pending else None)
    assert billing_mapping.cancels_at(found, NOW) == ((cancel_at or NOW + 20 * DAY) if pending else None)


def test_the_subscription_that_gives_most_access_counts() -> None:
    best_first = [
        subscription("active", id="longer", current_period_end=NOW + 90 * DAY),
        subscription("active", id="shorter"),
        subscription("trialing", id="trial"),
        subscription("active", id="paused", collection_paused=True),
        subscription("past_due", id="owes"),
        subscription("incomplete", id="begun"),
        subscription("canceled", id="over", ended_at=NOW, current_period_end=NOW + 90 * DAY),
    ]
    for some in permutations(best_first[:4]):
        assert billing_mapping.most_access(some) == best_first[0]
    for place in range(len(best_first)):
        assert billing_mapping.most_access(best_first[place:][::-1]) == best_first[place]
    assert billing_mapping.most_access(()) is None


@pytest.mark.parametrize(
    ("status", "trial_end", "began"),
    [("active", None, None), ("active", NOW, NOW - 40 * DAY), ("trialing", NOW + DAY, NOW - 40 * DAY)],
)
def test_when_a_trial_began(status: str, trial_end: datetime | None, began: datetime | None) -> None:
    assert billing_mapping.trial_began_at(subscription(status, trial_end=trial_end)) == began
