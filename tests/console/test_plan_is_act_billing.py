"""Plan = act, for what finance decides about a client's billing, and for onboarding."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.jobs import billing as jobs
from admin_app.services import billing
from admin_app.services.clients import onboarding
from admin_app.simulator.stripe import control_stripe
from models import BillingStatus, ClientCustomer, Role
from tests.applications import Applications
from tests.console.client_scene import Clients
from tests.console.page_checks import CheckedClient
from tests.console.plan_walk import Case, Rules, walk
from tests.house import House, house, lent, simulator
from tests.services.billing.test_billing_overrides import override
from tests.services.billing.test_trials import grant
from tests.services.diary import Clock
from tests.services.factories import OPERATOR

__all__ = ["house", "simulator"]

Setup = Callable[[Clients], Case]
CASES: dict[str, Setup] = {}
OF = "billing-commands"


def overridden_until(house: House, key: str) -> datetime | None:
    with house.db.read_only() as session:
        standing = billing.open_override(session, int(key))
        return standing.until if standing else None


RULES = Rules(
    # Who ended an override, and why, is with whoever does it and with what they write; when Stripe was asked last.
    stamps=frozenset({"lifted_by", "lift_reason", "fetched_at", "last_seen_at", "since"}),
    # The history of what the lines say; what the inbox does with what it let go on.
    apart=frozenset({"billing_changes", "webhook_events"}),
    read={"client.override_until": overridden_until},
)


def _billing(scene: Clients, client_id: int, what: str, *, days: float | None = None, **typed: str) -> Case:
    if days is not None:
        typed |= {"until": scene.local(scene.in_days(days)), "until_which": "", "zone": "UTC"}
    return Case(f"{OF}.{what}", f"/admin/clients/{client_id}/billing/{what}", typed, role=Role.FINANCE)


def _subscribed(scene: Clients, **wanted: Any) -> tuple[int, str]:
    """A client with a subscription at the simulated Stripe, which told of it."""
    client_id = scene.client()
    wanted = {"client_id": client_id} | wanted
    made = control_stripe.subscribe(
        scene.house.simulator, email=f"payer{client_id}@example.com", deliver=False, **wanted
    )
    _hear(scene, str(made["id"]))
    return client_id, str(made["id"])


def _hear(scene: Clients, name: str) -> None:
    for event in control_stripe.events(scene.house.simulator, name):
        assert scene.house.stripe(event).status_code == 200
    scene.house.work()


def _overridden(scene: Clients, client_id: int, status: str, days: float = 5) -> int:
    override(scene.house.db, client_id, status, scene.in_days(days))
    scene.house.work()
    return client_id


CASES[f"{OF}.override: somebody without a subscription"] = lambda s: _billing(
    s, s.client(), "override", days=3, status="active"
)
CASES[f"{OF}.override: what Stripe says"] = lambda s: _billing(
    s, _subscribed(s)[0], "override", days=3, status="canceled"
)
CASES[f"{OF}.override: in the place of another"] = lambda s: _billing(
    s, _overridden(s, s.client(), "past_due"), "override", days=3, status="trial"
)
CASES[f"{OF}.lift: what was before holds again"] = lambda s: _billing(
    s, _overridden(s, s.client(billing_status=BillingStatus.CANCELED), "active"), "lift"
)
CASES[f"{OF}.lift: what Stripe says holds again"] = lambda s: _billing(
    s, _overridden(s, _subscribed(s)[0], "past_due"), "lift"
)


def _over(scene: Clients) -> Case:
    client_id = _overridden(scene, scene.client(), "active", days=1)
    scene.clock.now = scene.in_days(2)
    return _billing(scene, client_id, "lift")


CASES[f"{OF}.lift: its time is over, and no job was there"] = _over


def _trial(scene: Clients, client_id: int, days: float = 14) -> int:
    grant(scene.house.db, client_id, scene.in_days(days))
    scene.house.work()
    return client_id


CASES[f"{OF}.trial: the first"] = lambda s: _billing(s, s.client(), "trial", days=14)
CASES[f"{OF}.trial: under an override"] = lambda s: _billing(
    s, _overridden(s, s.client(), "past_due"), "trial", days=14
)
CASES[f"{OF}.extend: one of ours"] = lambda s: _billing(s, _trial(s, s.client()), "extend", days=20)
CASES[f"{OF}.extend: under an override"] = lambda s: _billing(
    s, _overridden(s, _trial(s, s.client()), "past_due"), "extend", days=20
)
CASES[f"{OF}.extend: one that nobody noted"] = lambda s: _billing(
    s, s.client(billing_status=BillingStatus.TRIAL, payment_active=True), "extend", days=20
)
CASES[f"{OF}.extend: one of Stripe's"] = lambda s: _billing(s, _subscribed(s, trial_days=7)[0], "extend", days=20)


def _ended(scene: Clients) -> Case:
    client_id = _trial(scene, scene.client(), days=3)
    scene.clock.now = scene.in_days(4)
    jobs.refresh(scene.house.bench, client_id)
    return _billing(scene, client_id, "extend", days=20)


CASES[f"{OF}.extend: one of ours that is over"] = _ended
CASES[f"{OF}.ask: nothing is otherwise there"] = lambda s: _billing(s, _subscribed(s)[0], "ask")


def _linked(scene: Clients, **client: Any) -> Case:
    _subscribed(scene, client_id=None)
    (customer,) = scene.house.rows(select(ClientCustomer).where(ClientCustomer.client_id.is_(None)))
    typed = {"client": str(scene.client(**client))}
    return Case("customer-commands.link", f"/admin/client-customers/{customer.id}/link", typed, role=Role.FINANCE)


CASES["customer-commands.link: one who pays"] = _linked


def _linked_second(scene: Clients) -> Case:
    case = _linked(scene)
    client_id, _ = _subscribed(scene)
    return Case(case.endpoint, case.address, {"client": str(client_id)}, role=Role.FINANCE)


CASES["customer-commands.link: a second one of somebody who pays already"] = _linked_second


def _linked_overridden(scene: Clients) -> Case:
    case = _linked(scene)
    _overridden(scene, int(case.typed["client"]), "past_due")
    return case


CASES["customer-commands.link: under an override"] = _linked_overridden


# -- onboarding -----------------------------------------------------------------------------------------------------


def _onboarding(scene: Clients, client_id: int, what: str) -> Case:
    return Case(f"onboarding-commands.{what}", f"/admin/clients/{client_id}/onboarding/{what}", role=Role.OPS)


def _reported(scene: Clients, **said: bool) -> int:
    client_id = scene.client()
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        onboarding.report(ctx, client_id=client_id, **said)
    return client_id


def _by_hand(scene: Clients) -> int:
    client_id = _reported(scene, forwarding_enabled=True)
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        shown = onboarding.plan_complete_anyway(ctx, client_id=client_id).fingerprint
        onboarding.complete_anyway(ctx, client_id=client_id, reason="They are live", shown=shown)
    return client_id


WHOLE = {"forwarding_enabled": True, "test_call_detected": True}
CASES["onboarding-commands.complete: nothing was ever reported"] = lambda s: _onboarding(s, s.client(), "complete")
CASES["onboarding-commands.complete: a step is missing"] = lambda s: _onboarding(
    s, _reported(s, forwarding_enabled=True), "complete"
)
CASES["onboarding-commands.complete: both steps hold"] = lambda s: _onboarding(s, _reported(s, **WHOLE), "complete")
CASES["onboarding-commands.reopen: completed by programs"] = lambda s: _onboarding(
    s, _reported(s, **WHOLE, complete=True), "reopen"
)
CASES["onboarding-commands.reopen: completed by hand"] = lambda s: _onboarding(s, _by_hand(s), "reopen")


@pytest.fixture
def scene(simulator: str, db: Any, applications: Applications) -> Clients:
    made = lent(applications, simulator, db)
    made.app.testing, made.app.test_client_class = True, CheckedClient
    return Clients(made, Clock(db))


@pytest.mark.parametrize("name", CASES)
def test_what_the_plan_promised_is_what_happened(name: str, scene: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    walk(scene.house, name, CASES[name](scene), monkeypatch, RULES)
