"""Plan = act, for a run over many clients, whose plan counts them, and for closing a month, whose plan sums it."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.context import Staff
from admin_app.services.clients import bulk_undo
from admin_app.services.core.amounts import money_text
from admin_app.services.core.plans import Plan
from admin_app.services.core.utc_months import begins, following, month_of, month_text
from admin_app.services.finance.month_lines import KIND_WORDS
from models import BillingStatus, BulkItem, BulkOutcome, BulkRun, MonthClosing, Role
from tests.applications import Applications
from tests.changes import CHANGES
from tests.console.client_scene import DAY, Clients
from tests.console.conftest import _sign_in
from tests.console.page_checks import CheckedClient
from tests.console.plan_walk import Case, Rules, calls, everything, mails, of_form, shown_on, walk
from tests.house import House, house, lent, simulator
from tests.services.billing_rows import add_client, add_steps
from tests.services.clients import bulk
from tests.services.clients.flags import on
from tests.services.diary import Clock
from tests.services.factories import OPERATOR
from tests.services.finance.test_months import add_paid, add_refund

__all__ = ["house", "simulator"]

Setup = Callable[[Clients], Case]
CASES: dict[str, Setup] = {}
TODAY = {"starts": "now", "ends": "back", "on_expiry": "lift", "tell_email": "", "tell_before": "60"}
START = "bulk-run-commands.start"


def _totals(name: str) -> Callable[[House, str], str | None]:
    def kept(house: House, month: str) -> str | None:
        (closing,) = house.rows(select(MonthClosing))
        kind = next(kind for kind, words in KIND_WORDS.items() if words == name)
        return money_text(closing.totals["eur"][kind]["amount"], "eur")

    return kept


RULES = Rules(
    # When a run ended; who said go is whoever does it.
    stamps=frozenset({"finished_at", "started_at"}),
    read={f"month.{name}, EUR": _totals(name) for name in KIND_WORDS.values()},
)


# -- runs -----------------------------------------------------------------------------------------------------------


def _ops(scene: Clients) -> Staff:
    return bulk.add_ops(scene.house.db, email="chooser@example.com")


def _some_of_each(scene: Clients) -> list[int]:
    """Three who would be paused, one who is already, one who is left out, and one who is paused until tomorrow."""
    number = [scene.client(billing_status=BillingStatus.ACTIVE) for _ in range(3)]
    number += [scene.client(outbound_paused=True), scene.client(billing_status=BillingStatus.CANCELED), scene.client()]
    scene.on(number[-1], until=scene.in_days(1))
    return number


def _planned(scene: Clients, **wish: Any) -> BulkRun:
    _some_of_each(scene)
    return bulk.choose(scene.house.db, _ops(scene), asked=on(**wish))


def _run(run: BulkRun, what: str, **parts: Any) -> Case:
    return Case(f"bulk-run-commands.{what}", f"/admin/bulk-runs/{run.id}/{what}", role=Role.OPS, **parts)


def _chosen(scene: Clients) -> Case:
    picked = "&".join(f"pick={number}" for number in _some_of_each(scene))
    form = of_form(adds=("bulk_run", *("bulk_item",) * 6))
    address = f"/admin/bulk-runs/choose/pause-outbound?{picked}&of=chosen"
    return Case("bulk-run-commands.choose", address, given=TODAY, form=form, role=Role.OPS)


def _at_work(scene: Clients) -> BulkRun:
    """A run that was started, and whose job has not begun."""
    ops = _ops(scene)
    _some_of_each(scene)
    run = bulk.choose(scene.house.db, ops)
    bulk.start(scene.house.db, ops, run.id)
    return run


def _done(scene: Clients) -> BulkRun:
    _some_of_each(scene)
    made = bulk.go(scene.house.db, _ops(scene))
    scene.house.work()
    return made


CASES["bulk-run-commands.choose: out of the list"] = _chosen
CASES["bulk-run-commands.discard: before it began"] = lambda s: _run(_planned(s), "discard")
CASES["bulk-run-commands.stop: before it came to anybody"] = lambda s: _run(_at_work(s), "stop")
CASES["bulk-run-commands.undo: chosen, to be looked at"] = lambda s: _run(_done(s), "undo")


def _undo(scene: Clients) -> BulkRun:
    done = _done(scene)
    with scene.house.db.unit_of_work(Staff(done.by_id, done.by, Role.OPS)) as ctx:
        return bulk_undo.undo(ctx, run_id=done.id, reason="The wrong ones")


COUNTED: dict[str, Callable[[Clients], BulkRun]] = {
    f"{START}: until somebody switches it back": _planned,
    f"{START}: with somebody who is told at once": lambda s: _planned(
        s, until=s.in_days(2), tell_email="desk@example.com", tell_at=s.clock.now
    ),
    f"{START}: an undo": _undo,
}
CASES |= {name: lambda s, setup=setup: _run(setup(s), "start") for name, setup in COUNTED.items()}


# -- months ---------------------------------------------------------------------------------------------------------


def _month(scene: Clients) -> Case:
    month = following(month_of(scene.clock.now), -1)
    at = begins(month) + 5 * DAY
    with scene.house.db.unit_of_work(OPERATOR) as ctx:
        client = add_client(ctx, "Pays", billing_status=BillingStatus.ACTIVE)
        add_steps(ctx, client, [(at, BillingStatus.ACTIVE, "eur", 900)])
        paid = add_paid(ctx, 10_000, at)
        add_refund(ctx, paid, 2_500, at + DAY)
        add_paid(ctx, 4_000, at + 40 * DAY)
    return Case("months.close", f"/admin/months/{month_text(month)}/close", role=Role.FINANCE)


CASES["months.close: with payments, a refund and a new client"] = _month


# -- the walk -------------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(simulator: str, db: Any, applications: Applications) -> Clients:
    made = lent(applications, simulator, db)
    made.app.testing, made.app.test_client_class = True, CheckedClient
    return Clients(made, Clock(db))


@pytest.mark.parametrize("name", [name for name in CASES if name not in COUNTED])
def test_what_the_plan_promised_is_what_happened(name: str, scene: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    walk(scene.house, name, CASES[name](scene), monkeypatch, RULES)


@pytest.mark.parametrize("name", COUNTED)
def test_a_run_does_what_its_plan_counted(name: str, scene: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    run, house = COUNTED[name](scene), scene.house
    scene.house.work()
    client = _sign_in(house.app, house.db, Role.OPS)
    case = _run(run, "start")
    plan, _, form = shown_on(client, case, monkeypatch)
    before, sent_before, called_before = everything(house), mails(house), calls(house)
    CHANGES.taken()
    assert client.post(case.address, data=form).status_code == 303
    house.work()

    after = everything(house)
    counted = _counted(plan)
    outcomes = Counter(item.outcome for item in house.rows(select(BulkItem).where(BulkItem.run_id == run.id)))
    assert outcomes[BulkOutcome.CHANGED] == counted["will change"] > 0
    assert outcomes[BulkOutcome.ALREADY] == counted["so already"]
    assert outcomes[BulkOutcome.EXCLUDED] == counted["left out"]
    switched = [
        record
        for record, row in after.items()
        if record.startswith("client:") and row["outbound_paused"] != before[record]["outbound_paused"]
    ]
    # Who was paused until tomorrow is paused before and after, for longer.
    assert counted["will change"] - 1 <= len(switched) <= counted["will change"]
    kinds = {record.partition(":")[0] for record in after if before.get(record) != after[record]}
    assert kinds <= {"client", "flag_change", "bulk_run", "bulk_item"}
    assert len(mails(house)) - len(sent_before) == counted["mails"]
    assert (calls(house), CHANGES.taken()) == (called_before, [])
    assert after[f"bulk_run:{run.id}"]["state"] == plan.lines[0].after


def _counted(plan: Plan) -> Counter[str]:
    """The numbers of the plan's sentences, by what they count."""
    found: Counter[str] = Counter()
    for sentence in plan.consequences:
        for what in ("will change", "so already", "left out", "mails"):
            number = re.match(r"(\d+) ", sentence)
            if number and what in sentence:
                found[what] = int(number[1])
    return found
