"""The gate over all combinations of its facts, against what each fact says alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import update

from admin_app.db import Database
from admin_app.services import billing, clients
from admin_app.services.clients import client_facts, gate
from admin_app.services.clients.client_facts import BillingFacts, FlagFacts, GateFacts
from admin_app.services.clients.gate import ACTIONS, REASONS, decide, smallest_change
from models import (
    BillingOverride,
    BillingStatus,
    Client,
    FlagChange,
    FlagName,
    OnboardingState,
    OnExpiry,
    Subscription,
)  # fmt: skip
from tests.console.conftest import counted_queries
from tests.services.clients.gate_cases import (
    ACTIVE,
    BILLING,
    CLIENT_FLAG,
    DAY,
    ENDLESS,
    HOUR,
    NOW,
    ONBOARDING,
    RUNNING,
    STAYS,
    STOP,
    TRIAL,
    override,
)
from tests.services.factories import OPERATOR

# The order that outside callers rely on, once more.
WORST_FIRST = (
    *("emergency_stop", "emergency_stop_unknown", "outbound_paused", "outbound_unknown", "ai_disabled", "ai_unknown"),
    *("canceled", "past_due", "no_billing", "billing_unknown", "trial_over", "trial_end_unknown"),
    *("payment_inactive", "payment_unknown", "onboarding_incomplete", "onboarding_unknown"),
)
CLEAR = GateFacts(1, FlagFacts(False), FlagFacts(False), FlagFacts(False), BillingFacts(ACTIVE, True), True)


def test_the_codes_and_their_order_are_as_promised() -> None:
    assert tuple(REASONS) == WORST_FIRST


def _code(is_on: bool | None, code: str, unknown: str) -> str | None:
    return {None: unknown, True: code, False: None}[is_on]


def test_every_combination_of_facts_is_refused_for_exactly_what_each_says_alone() -> None:
    seen = 0
    for stop, outbound, ai, pays, onboarded in product(STOP, CLIENT_FLAG, CLIENT_FLAG, BILLING, ONBOARDING):
        facts = GateFacts(1, stop[0], outbound[0], ai[0], pays[0], onboarded[0])
        both = {_code(stop[1], "emergency_stop", "emergency_stop_unknown"), pays[1], onboarded[1]}
        alone = {
            "outbound": both | {_code(outbound[1], "outbound_paused", "outbound_unknown")},
            "ai": both | {_code(ai[1], "ai_disabled", "ai_unknown")},
        }
        for action in ACTIONS:
            decision = decide(facts, action, NOW)
            wanted = tuple(code for code in WORST_FIRST if code in alone[action])
            assert tuple(block.code for block in decision.blocks) == wanted, (facts, action)
            assert decision.allowed is (not wanted)
        seen += 1
    assert seen == len(STOP) * len(CLIENT_FLAG) ** 2 * len(BILLING) * len(ONBOARDING) > 50_000


def _one_of_each_code() -> Iterator[GateFacts]:
    """Every set of blocks that there can be."""
    switches = (None, FlagFacts(True), FlagFacts(False))
    stops = (None, FlagFacts(False, (ENDLESS,)), FlagFacts(False))
    payments = {code: facts for facts, code in BILLING}.values()
    for values in product(stops, switches, switches, payments, (None, False, True)):
        yield GateFacts(1, *values)


@pytest.mark.parametrize("action", ACTIONS)
def test_the_smallest_change_unblocks_and_nothing_of_it_can_be_left_out(action: gate.Action) -> None:
    for facts in _one_of_each_code():
        remedies = smallest_change(facts, action, NOW)
        assert decide(_applied(facts, remedies), action, NOW).allowed
        for left_out in remedies:
            rest = [remedy for remedy in remedies if remedy is not left_out]
            blocks = decide(_applied(facts, rest), action, NOW).blocks
            assert [block.code for block in blocks] == [left_out.code]


def _applied(facts: GateFacts, remedies: object) -> GateFacts:
    for remedy in remedies:  # type: ignore[attr-defined]
        facts = remedy.applied(facts, NOW)
    return facts


@pytest.mark.parametrize(
    ("facts", "until", "message"),
    [
        (
            replace(CLEAR, outbound_paused=FlagFacts(True, (RUNNING,))),
            NOW + HOUR,
            "Outbound calls are paused until 18 Nov 2026 13:00 UTC: They are on holiday.",
        ),
        (replace(CLEAR, outbound_paused=FlagFacts(True, (ENDLESS,))), None,
         "Outbound calls are paused: They are on holiday."),
        (replace(CLEAR, outbound_paused=FlagFacts(True, (STAYS,))), None,
         "Outbound calls are paused: They are on holiday."),
        (replace(CLEAR, outbound_paused=FlagFacts(True)), None,
         "Outbound calls are paused: set outside Backdesk."),
        (replace(CLEAR, billing=BillingFacts(ACTIVE, True, override=override(BillingStatus.PAST_DUE))), NOW + DAY,
         "A payment is past due."),
        (replace(CLEAR, onboarding_complete=False), None, "Onboarding is not complete."),
    ],
)  # fmt: skip
def test_outside_callers_are_told_until_when_and_why_but_no_name(facts: GateFacts, until: object, message: str) -> None:
    (block,) = decide(facts, "outbound", NOW).blocks
    assert (block.until, block.message) == (until, message)
    assert "@" not in block.message


def test_periods_that_follow_without_a_gap_are_one_to_whoever_waits() -> None:
    first, second = RUNNING, replace(RUNNING, since=NOW + HOUR, until=NOW + DAY)
    (block,) = decide(replace(CLEAR, ai_disabled=FlagFacts(True, (first, second))), "ai", NOW).blocks
    assert block.until == NOW + DAY


# -- the facts as the database has them -----------------------------------------------------------------------------


def _client(db: Database, **values: object) -> int:
    defaults = {"billing_status": ACTIVE, "payment_active": True, "onboarding_complete": True}
    with db.unit_of_work(OPERATOR) as ctx:
        client = Client(name="Fjord Dental", **(defaults | values))
        ctx.session.add(client)
        ctx.session.flush()
        return client.id


def _put(db: Database, *rows: object) -> None:
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add_all(rows)


def _codes(db: Database, client_id: int, action: gate.Action = "outbound", now: object = NOW) -> list[str]:
    with db.read_only() as session:
        facts = gate.facts_of(session, client_id, trial_days=14)
    return [block.code for block in decide(facts, action, now).blocks]  # type: ignore[arg-type]


def _flag(client_id: int | None, flag: FlagName, **values: object) -> FlagChange:
    return FlagChange(client_id=client_id, flag=flag, reason="why", by="ops@x.test", **{"since": NOW - DAY, **values})


def _subscription(client_id: int, name: str, status: str, **values: object) -> Subscription:
    return Subscription(client_id=client_id, stripe_subscription_id=name, stripe_customer_id="cus_1", status=status,
                        fetched_at=NOW, **values)  # fmt: skip


def test_all_facts_come_in_one_query(db: Database) -> None:
    client_id = _client(db)
    _put(db, _flag(client_id, FlagName.AI_DISABLED), _flag(client_id, FlagName.OUTBOUND_PAUSED),
         _flag(None, FlagName.EMERGENCY_STOP), _subscription(client_id, "sub_1", "active"))  # fmt: skip
    with db.read_only() as session, counted_queries(db) as statements:
        facts = gate.facts_of(session, client_id, trial_days=14)
    assert len(statements) == 1
    assert [block.code for block in decide(facts, "ai", NOW).blocks] == ["emergency_stop", "ai_disabled"]


def test_nobody_elses_rows_and_nothing_lifted_counts(db: Database) -> None:
    client_id, other = _client(db), _client(db)
    done = {"lifted_at": NOW, "lifted_by": "x"}
    _put(
        db,
        _flag(other, FlagName.OUTBOUND_PAUSED),
        _flag(client_id, FlagName.OUTBOUND_PAUSED, **done),
        _flag(client_id, FlagName.OUTBOUND_PAUSED, value=False),
        _flag(None, FlagName.EMERGENCY_STOP, **done),
        _subscription(other, "sub_2", "canceled"),
        BillingOverride(client_id=client_id, status=BillingStatus.CANCELED, reason="r", by="f", since=NOW - DAY,
                        until=NOW + DAY, **done),
    )  # fmt: skip
    assert _codes(db, client_id) == []


def test_a_switch_with_an_end_needs_no_job_to_end(db: Database) -> None:
    client_id = _client(db, outbound_paused=True)
    _put(db, _flag(client_id, FlagName.OUTBOUND_PAUSED, until=NOW, on_expiry=OnExpiry.LIFT))
    assert _codes(db, client_id, now=NOW - timedelta(microseconds=1)) == ["outbound_paused"]
    assert _codes(db, client_id, now=NOW) == []


def test_an_override_that_is_over_gives_way_to_the_subscription_that_counts(db: Database) -> None:
    client_id = _client(db, stripe_subscription_id="sub_now")
    _put(
        db,
        BillingOverride(client_id=client_id, status=ACTIVE, reason="r", by="f", since=NOW - DAY, until=NOW),
        _subscription(client_id, "sub_now", "past_due", started_at=NOW - 9 * DAY),
        _subscription(client_id, "sub_later", "active", started_at=NOW),
    )
    assert _codes(db, client_id, now=NOW - HOUR) == []
    assert _codes(db, client_id) == ["past_due"]


def test_the_end_of_a_granted_trial_is_told_alike_before_and_after_it_is_noted(db: Database) -> None:
    db.clock = lambda: NOW
    ended = {"trial_used_at": NOW - DAY, "trial_ends_at": NOW, "trial_granted_until": NOW}
    client_id = _client(db, billing_status=TRIAL, **ended)

    def told() -> tuple[object, ...]:
        with db.read_only() as session:
            shown = clients.read(session, client_id, trial_days=14, now=NOW)
        return shown.billing_status, shown.payment_active, _codes(db, client_id)

    before = told()
    assert before == (BillingStatus.NONE, False, ["trial_over"])
    with db.unit_of_work(OPERATOR) as ctx:
        assert billing.refresh_by_the_clock(ctx, client_id=client_id)
    assert told() == before


def test_a_changed_fact_is_seen_by_the_next_call(db: Database) -> None:
    client_id = _client(db, billing_status=TRIAL, trial_ends_at=NOW + DAY)
    assert _codes(db, client_id) == []
    with db.unit_of_work(OPERATOR) as ctx:
        ctx.session.execute(update(Client).where(Client.id == client_id).values(ai_disabled=True, trial_ends_at=NOW))
        ctx.session.add(OnboardingState(client_id=client_id))
    assert _codes(db, client_id, "ai") == ["ai_disabled", "trial_over"]
    assert _codes(db, client_id, "outbound") == ["trial_over"]


def test_nobody_has_no_facts(db: Database) -> None:
    with db.read_only() as session, pytest.raises(client_facts.NoSuchClient):
        gate.facts_of(session, 999_999_999, trial_days=14)
