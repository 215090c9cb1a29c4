"""Plan = act, for every command on appointments and their money: what its page promised is exactly what changed in the
database, was sent as mail, and was called at the providers, after all the jobs that it leaves are done.

A command of these pages that is in no case here fails the last test.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import inspect, select

from admin_app.services import plans
from admin_app.services.amounts import money_text
from admin_app.services.audit import plain
from admin_app.services.payments import held_money
from admin_app.services.plans import Plan
from admin_app.simulator import control_stripe, control_workos
from models import (
    Base,
    Booking,
    BookingStatus,
    Payment,
    ProviderCall,
    Refund,
    Role,
    SentEmail,
)
from tests.changes import CHANGES
from tests.console.appointment_scene import LIMIT, NUMBERS, TIMES, Scene
from tests.console.conftest import _sign_in
from tests.console.forms import form_on
from tests.console.page_checks import CheckedClient
from tests.house import House, build, house, simulator
from tests.services.diary import Clock
from views.console import plan_pages

__all__ = ["house", "simulator"]

# Written with every change of a row, and promised by none: when it was, how often, and which mail is the latest.
STAMPS = frozenset(
    {"version", "created_at", "updated_at", "canceled_at", "told_version", "reminded_at", "sent_at", "settled_at"}
    | {"undecided_since", "kept_at", "kept_by", "kept_reason", "made_good_at", "made_good_by"}
)
# The provider's own id of what a call made.
ANSWERED = frozenset({"calcom_booking_uid", "stripe_refund_id"})
# The history, what is compared by itself, and what anybody's looking at pages writes.
APART = frozenset({"audit_entries", "sent_emails", "provider_calls", "staff_sessions", "staff", "booking_links"})
# Who asked for a decision and who made it: what it does stands in the refund.
APART |= {"approvals"}
# A plan shows money as people read it: where that lies.
DERIVED: dict[str, Callable[[Payment], Any]] = {
    "given_back": lambda row: money_text(row.reserved_amount, row.currency),
    "left_to_give_back": lambda row: money_text(row.captured_amount - row.reserved_amount, row.currency),
    "kept": lambda row: money_text(row.kept_amount or 0, row.currency),
}
LIES_IN = {"given_back": "reserved_amount", "kept": "kept_amount"}
# What becomes of them is the provider's answer, which nobody has when the plan is made; their pages say both ends.
ASKS_FIRST = {"refund-commands.ask", "meeting-guest.register"}


@dataclass(frozen=True)
class Case:
    """A command's page with what is chosen on it, after a scene was set up."""

    endpoint: str
    address: str
    typed: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    role: Role = Role.ADMIN


Setup = Callable[[Scene], Case]
REFUND, APPROVE = "payment-commands.refund", "refund-commands.approve"
CASES: dict[str, Setup] = {}


def case(name: str) -> Callable[[Setup], Setup]:
    def note(setup: Setup) -> Setup:
        CASES[name] = setup
        return setup

    return note


def _on(subject: str, what: str, endpoint: str | None = None, **typed: str) -> Case:
    kind, _, number = subject.partition(":")
    name = endpoint or what.replace("-", "_")
    return Case(f"{kind}-commands.{name}", f"/admin/{kind}s/{number}/{what}", typed)


def _cancel(subject: str, because: str = "by_client", **typed: str) -> Case:
    return _on(subject, "cancel", because=because, **typed)


for _what in ("booking", "meeting"):
    _ON = f"{_what}-commands"
    CASES[f"{_ON}.cancel: the money kept"] = lambda s, w=_what: _cancel(s.paid(w))
    CASES[f"{_ON}.cancel: a large refund waits"] = lambda s, w=_what: _cancel(s.paid(w), "by_staff", refund="all")
    CASES[f"{_ON}.cancel: a part goes back"] = lambda s, w=_what: _cancel(s.paid(w), refund="part", amount="50.00")
    CASES[f"{_ON}.cancel: nobody written to"] = lambda s, w=_what: _cancel(s.paid(w), tell="no")
    CASES[f"{_ON}.cancel: while it can be paid"] = lambda s, w=_what: _cancel(s.unpaid(w), "by_staff")
    CASES[f"{_ON}.complete: it took place"] = lambda s, w=_what: _on(s.begun(s.paid(w)), "complete")
    CASES[f"{_ON}.no_show: nobody came"] = lambda s, w=_what: _on(s.begun(s.paid(w)), "no-show")
    CASES[f"{_ON}.resend: the confirmation"] = lambda s, w=_what: _on(s.paid(w), "resend")
    CASES[f"{_ON}.cancel: by one who may not decide about money"] = lambda s, w=_what: Case(
        **{**_cancel(s.paid(w)).__dict__, "role": Role.OPS}
    )


def _moved(scene: Scene, subject: str, **typed: str) -> Case:
    return _on(subject, "reschedule", starts_at=(scene.starts + timedelta(days=2)).isoformat(), **typed)


CASES["booking-commands.reschedule: of Cal.com"] = lambda s: _moved(s, s.free())
CASES["booking-commands.reschedule: nobody written to"] = lambda s: _moved(s, s.free(), tell="no")
CASES["meeting-commands.reschedule: with an address"] = lambda s: _moved(s, s.meeting())
CASES["meeting-commands.reschedule: without an address"] = lambda s: _moved(s, s.meeting(guest_email=None))
CASES["booking-commands.cancel: of Calendly"] = lambda s: _cancel(s.from_calendly(), "by_practitioner")
CASES["booking-commands.cancel: of Calendly, begun"] = lambda s: _cancel(s.begun(s.from_calendly()))


def _refund(scene: Scene, subject: str, amount: str, **typed: str) -> Case:
    address = f"/admin/payments/{scene.payment(subject).id}/refund"
    given = {"reason_code": "requested_by_customer", "note": ""}
    return Case("payment-commands.refund", address, {"amount": amount, **typed}, given)


CASES[f"{REFUND}: a part"] = lambda s: _refund(s, s.paid(), "50.00")
CASES[f"{REFUND}: a large part waits"] = lambda s: _refund(s, s.paid(), "500.00")
CASES[f"{REFUND}: all of it waits"] = lambda s: _refund(s, s.paid(), "600.00")


def _rest(scene: Scene, what: str = "booking") -> str:
    """Of which so much went back that the rest is small."""
    subject = scene.paid(what)
    payment = scene.payment(subject)
    control_stripe.refund(scene.house.simulator, str(payment.stripe_payment_intent_id), amount=45_000, deliver=False)
    for event in control_stripe.events(scene.house.simulator, str(payment.stripe_payment_intent_id)):
        scene.house.stripe(event)
    scene.house.work()
    return subject


CASES[f"{REFUND}: the rest, and it ends"] = lambda s: _refund(s, _rest(s), "150.00")
CASES[f"{REFUND}: the rest of a meeting, and it ends"] = lambda s: _refund(s, _rest(s, "meeting"), "150.00")
CASES[f"{REFUND}: the rest, and it takes place"] = lambda s: _refund(s, _rest(s), "150.00", appointment="stays")
CASES[f"{REFUND}: the rest, and nobody is written to"] = lambda s: _refund(s, _rest(s), "150.00", tell="no")
CASES[f"{REFUND}: the rest of what took place"] = lambda s: _refund(s, s.begun(_rest(s)), "150.00")


def _decision(scene: Scene, how: str, amount: int, **wish: Any) -> Case:
    refund = scene.asked_back(scene.paid(), amount, **wish)
    return Case(f"refund-commands.{how}", f"/admin/refunds/{refund.id}/{how}")


CASES[f"{APPROVE}: all of it, and it ends"] = lambda s: _decision(s, "approve", 60_000)
CASES[f"{APPROVE}: all of it, and it takes place"] = lambda s: _decision(s, "approve", 60_000, ends=False)
CASES[f"{APPROVE}: all of it, and nobody is written to"] = lambda s: _decision(s, "approve", 60_000, tell=False)
CASES[f"{APPROVE}: a part"] = lambda s: _decision(s, "approve", 30_000)
CASES["refund-commands.decline: all of it"] = lambda s: _decision(s, "decline", 60_000)


def _hear(scene: Scene, name: str) -> None:
    """Stripe tells of it, and all that follows is done."""
    for event in control_stripe.events(scene.house.simulator, name):
        assert scene.house.stripe(event).status_code == 200
    scene.house.work()


def _returned(scene: Scene, how: str) -> Case:
    """All of it went back at the dashboard, and the bank sent it back days later."""
    subject, simulator = scene.paid(), scene.house.simulator
    intent = scene.payment(subject).stripe_payment_intent_id or ""
    control_stripe.refund(simulator, intent, deliver=False)
    (made,) = [one["id"] for one in control_stripe.refunds(simulator) if one["payment_intent"] == intent]
    _hear(scene, made)
    control_stripe.settle_refund(simulator, made, succeeds=False, deliver=False)
    _hear(scene, made)
    (refund,) = scene.house.rows(select(Refund).where(Refund.payment_id == scene.payment(subject).id))
    return Case("refund-commands.put_right", f"/admin/refunds/{refund.id}/put-right", {"how": how})


CASES["refund-commands.put_right: by hand"] = lambda s: _returned(s, "by_hand")
CASES["refund-commands.put_right: again, once a second person says so"] = lambda s: _returned(s, "again")
CASES["refund-commands.put_right: nothing is owed"] = lambda s: _returned(s, "nothing_owed")


def _goodwill(scene: Scene, how: str) -> Case:
    """The rest was given back for an appointment that takes place all the same, and the bank sends it back."""
    refund = scene.asked_back(_rest(scene), 15_000, ends=False)
    scene.house.work()
    (name,) = scene.house.rows(select(Refund.stripe_refund_id).where(Refund.id == refund.id))
    control_stripe.settle_refund(scene.house.simulator, name, succeeds=False, deliver=False)
    _hear(scene, name)
    return Case("refund-commands.put_right", f"/admin/refunds/{refund.id}/put-right", {"how": how})


CASES["refund-commands.put_right: again, and it takes place"] = lambda s: _goodwill(s, "again")
CASES["refund-commands.put_right: by hand, and it takes place"] = lambda s: _goodwill(s, "by_hand")


@case("payment-commands.keep: what came back")
def _kept_returned(scene: Scene) -> Case:
    number = _returned(scene, "again").address.split("/")[3]
    (refund,) = scene.house.rows(select(Refund).where(Refund.id == int(number)))
    return Case("payment-commands.keep", f"/admin/payments/{refund.payment_id}/keep", role=Role.FINANCE)


@case("payment-commands.refund: what came back goes back with it")
def _refund_of_returned(scene: Scene) -> Case:
    number = _returned(scene, "again").address.split("/")[3]
    (refund,) = scene.house.rows(select(Refund).where(Refund.id == int(number)))
    given = {"reason_code": "requested_by_customer", "note": ""}
    return Case("payment-commands.refund", f"/admin/payments/{refund.payment_id}/refund", {"amount": "600.00"}, given)


@case("payment-commands.keep: by finance")
def _kept(scene: Scene) -> Case:
    subject = scene.paid()
    with scene.work() as ctx:
        row = ctx.session.get_one(Booking, int(subject[8:]))
        row.status, row.canceled_because, row.canceled_at = BookingStatus.CANCELED, "by_client", ctx.now
        held_money.review_all(ctx, subject)
    scene.house.work()
    payment = scene.payment(subject)
    return Case("payment-commands.keep", f"/admin/payments/{payment.id}/keep", role=Role.FINANCE)


@case("meeting-guest.link: to somebody whom WorkOS knows")
def _linked(scene: Scene) -> Case:
    email = f"known{next(NUMBERS)}@example.com"
    control_workos.create_user(scene.house.simulator, email=email)
    number = scene.meeting().partition(":")[2]
    return Case("meeting-guest.link", f"/admin/meetings/{number}/link-guest", {"email": email})


@pytest.fixture
def scene(simulator: str, db: Any) -> Scene:
    made = build(simulator, db, refund_approval_above=LIMIT)
    made.app.testing, made.app.test_client_class = True, CheckedClient
    clock = Clock(db)
    soon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=30)
    return Scene(made, clock, soon + timedelta(hours=next(TIMES)))


def everything(house: House) -> dict[str, dict[str, Any]]:
    """Every row of every table that a command may change, by its record."""
    rows: dict[str, dict[str, Any]] = {}
    with house.db.read_only() as session:
        for mapper in Base.registry.mappers:
            model: Any = mapper.class_
            if model.__tablename__ in APART:
                continue
            one = model.__tablename__.removesuffix("s")
            for row in session.scalars(select(model)):
                key = ",".join(str(part) for part in inspect(row).identity)
                rows[f"{one}:{key}"] = plans.snapshot(row)
    return rows


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """What is another value than before, but for the stamps of a change."""
    return {
        (record, name): value
        for record, row in after.items()
        if record in before
        for name, value in row.items()
        if name not in STAMPS | ANSWERED and before[record][name] != value
    }


def promised(house: House, plan: Plan, before: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """The fields of the plan's lines, where they lie and as they are kept; those that show money are looked at here."""
    found: dict[tuple[str, str], Any] = {}
    for line in plan.lines:
        if line.later or not line.changes:
            continue
        if line.field not in DERIVED:
            found[line.record, line.field] = plain(line.after)
            continue
        (row,) = house.rows(select(Payment).where(Payment.id == int(line.record.partition(":")[2])))
        assert DERIVED[line.field](row) == line.after, line.field
        name = LIES_IN.get(line.field)
        # What was kept aside for a refund before is on its way with it: the same number.
        if name is not None and before[line.record][name] != getattr(row, name):
            found[line.record, name] = getattr(row, name)
    return found


def mails(house: House) -> list[tuple[str, str, str]]:
    sent = house.rows(select(SentEmail).order_by(SentEmail.id))
    return [(mail.to_email, mail.subject, mail.text_body) for mail in sent]


def calls(house: House) -> list[tuple[str, str]]:
    return [(call.provider, call.operation) for call in house.rows(select(ProviderCall).order_by(ProviderCall.id))]


def shown_on(client: CheckedClient, case: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, str, dict[str, str]]:
    """The plan that the page is made from, the page, and what its form carries."""
    seen: list[Plan] = []
    monkeypatch.setattr(
        plan_pages, "carried", lambda plan, zone, carry=plan_pages.carried: seen.append(plan) or carry(plan, zone)
    )
    page = client.get(case.address, query_string=case.typed)
    assert page.status_code == 200, page.text
    form = form_on(client, case.address, **case.typed)
    assert seen[0].refusal is None, seen[0].refusal
    return seen[-1], page.text, form


@pytest.mark.parametrize("name", CASES)
def test_what_the_plan_promised_is_what_happened(name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    house, case = scene.house, CASES[name](scene)
    assert case.endpoint == name.partition(":")[0]
    client = _sign_in(house.app, house.db, case.role)
    plan, page, form = shown_on(client, case, monkeypatch)
    before, sent_before, called_before = everything(house), mails(house), calls(house)
    CHANGES.taken()

    answer = client.post(case.address, data=case.typed | form | {"reason": "They called"} | case.given)
    assert answer.status_code == 303, answer.text
    house.work()

    after = everything(house)
    now_promised = promised(house, plan, before)
    of_refunds = {key: value for key, value in changed(before, after).items() if key[0].startswith("refund:")}
    others = {key: value for key, value in changed(before, after).items() if key not in of_refunds}
    by_refund = {key: value for key, value in now_promised.items() if key[0].startswith("refund:")}
    assert others == {key: value for key, value in now_promised.items() if key not in by_refund}
    # A refund that is let go goes on to its end at the provider in the same breath.
    assert of_refunds.keys() == by_refund.keys()
    assert {record.partition(":")[0] for record in after.keys() - before.keys()} <= new_rows(plan)
    assert before.keys() <= after.keys()

    going = [mail for mail in plan.mails if not mail.later]
    assert mails(house)[len(sent_before) :] == [(mail.to, mail.subject, mail.text) for mail in going]
    assert all(mail.to in page for mail in plan.mails), "it can be read before"
    called = [(call.provider, call.operation) for call in plan.calls if not call.later]
    assert sorted(calls(house)[len(called_before) :]) == sorted(called)
    assert sorted(provider for provider, _ in CHANGES.taken()) == sorted(provider for provider, _ in called)


def new_rows(plan: Plan) -> set[str]:
    """The tables into which the plan says something new is written."""
    asked = ("what you typed", "the refund that came back")
    gives_back = any(line.field == "given_back" and line.source in asked for line in plan.lines)
    return {"refund"} if gives_back else set()


def test_no_command_is_left_out(scene: Scene) -> None:
    views = {"booking-commands", "meeting-commands", "meeting-guest", "payment-commands", "refund-commands"}
    commands = {
        str(rule.endpoint)
        for rule in scene.house.app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and str(rule.endpoint).partition(".")[0] in views
    }
    assert commands == {name.partition(":")[0] for name in CASES} | ASKS_FIRST
