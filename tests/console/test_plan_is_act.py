"""Plan = act, for every command on appointments and their money: what its page promised is exactly what changed in the
database, was sent as mail, and was called at the providers, after all the jobs that it leaves are done.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from admin_app.services.payments import held_money
from admin_app.simulator.stripe import control_stripe
from admin_app.simulator.workos import control_workos
from models import Booking, BookingStatus, Refund, Role
from tests.applications import Applications
from tests.console.appointment_scene import LIMIT, NUMBERS, TIMES, Scene
from tests.console.page_checks import CheckedClient
from tests.console.plan_walk import Case, walk
from tests.house import house, lent, simulator
from tests.services.diary import Clock

__all__ = ["house", "simulator"]

# What is no plan of what happens here.
NO_PLAN = dict.fromkeys(
    ("refund-commands.ask", "meeting-guest.register"),
    "what becomes of it is the provider's answer, which nobody has when the plan is made; its page says both ends",
)
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
def scene(simulator: str, db: Any, applications: Applications) -> Scene:
    made = lent(applications, simulator, db, refund_approval_above=LIMIT)
    made.app.testing, made.app.test_client_class = True, CheckedClient
    clock = Clock(db)
    soon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=30)
    return Scene(made, clock, soon + timedelta(hours=next(TIMES)))


@pytest.mark.parametrize("name", CASES)
def test_what_the_plan_promised_is_what_happened(name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    walk(scene.house, name, CASES[name](scene), monkeypatch)
