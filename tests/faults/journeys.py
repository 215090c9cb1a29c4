"""What people and providers do from one end to the other, each journey as acts that are tried until they succeed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from admin_app.integrations import registry
from admin_app.integrations.money_ports import CheckoutRequest
from admin_app.integrations.stripe import checkout_snapshots
from admin_app.services import payments
from admin_app.services.checkout import settlement
from admin_app.simulator import control
from admin_app.simulator.calcom import control_calcom
from admin_app.simulator.stripe import control_stripe
from models import Client, Membership, Profile, Role, StaffMember
from tests.faults import whop
from tests.faults.stage import Stage
from tests.services.diary import offered, tomorrow
from tests.services.factories import OPERATOR, add_profile, add_user, buy
from tests.services.money import STRIPE, add_payment

ALWAYS = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
BUYER, BOOKER, GUEST = "petra@example.com", "cleo@example.com", "mona@example.com"
HOLD_IS_OVER = timedelta(minutes=40)
Act = Callable[[Stage], None]


@dataclass(frozen=True)
class Journey:
    """`prepare` happens undisturbed; the worker does its work after every act."""

    name: str
    prepare: Act
    acts: tuple[Act, ...]


# -- a purchase, its mail, its claim -----------------------------------------------------------------------------------


def _purchase_prepared(stage: Stage) -> None:
    known = {"membership_id": "mem_1", "user_id": "user_1", "email": BUYER, "name": "Petra Pro", "plan": "monthly"}
    control.seed_memberships(stage.simulator, [known])
    person = control.create_user(stage.simulator, name="Petra Pro", email=BUYER)
    stage.facts["user_id"] = str(person["id"])


def _whop_tells(stage: Stage) -> None:
    """In the form that names no address, so that Whop is asked; and once more, as Whop does."""
    event = whop.activated_without_address("1")
    stage.whop(event)
    stage.whop(event)


def _signs_in(stage: Stage) -> None:
    token = control.token(stage.simulator, stage.facts["user_id"])
    answer = stage.ask("POST", "/api/profiles/sign-in", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text


# -- support merges ----------------------------------------------------------------------------------------------------


def _merge_prepared(stage: Stage) -> None:
    with stage.rows() as db:
        buy(db, BUYER)
        add_user(db, "user_a", email="other@example.com", name="Petra Pro")
        add_profile(db, "user_a", email="other@example.com")
    _add_staff(stage, Role.SUPPORT)


def _support_merges(stage: Stage) -> None:
    stage.command("merge", email=BUYER, user_id="user_a")


# -- a booking, paid, in the calendar ----------------------------------------------------------------------------------


def _booking_prepared(stage: Stage) -> None:
    hours = {day: [["10:00", "10:50"]] for day in ALWAYS}
    control_calcom.seed_event_types(stage.simulator, [{"id": "77", "minutes": 50, "host_id": 7, "hours": hours}])
    with stage.rows() as db:
        kind = offered(db, working_hours=ALWAYS, calcom_event_type_id="77")
    stage.facts["wish"] = {
        "practitioner_id": kind.practitioner_id,
        "session_type_id": kind.id,
        "starts_at": tomorrow(datetime.now(UTC), days=5).isoformat(),
    }


def _books(stage: Stage) -> None:
    """Whose answer was lost finds the time taken by the own first try, and comes back when its hold is over."""
    wish = stage.facts["wish"] | {"client_name": "Cleo Client", "client_email": BOOKER}
    answer = stage.ask("POST", "/api/bookings", json=wish)
    if answer.status_code == 409:
        stage.settle()
        stage.later(HOLD_IS_OVER)
        answer = stage.ask("POST", "/api/bookings", json=wish)
    assert answer.status_code == 201, answer.text
    stage.facts["session_id"] = answer.json()["checkout_url"].rpartition("/")[2]


def _pays(stage: Stage) -> None:
    session_id = stage.facts["session_id"]
    control_stripe.pay(stage.simulator, session_id, deliver=False)
    for event in control_stripe.events(stage.simulator, session_id):
        stage.stripe(event)


# -- a guest's meeting -------------------------------------------------------------------------------------------------


def _registers(stage: Stage) -> None:
    wish = stage.facts["wish"] | {"guest_name": "Mona Meier", "guest_email": GUEST}
    del wish["session_type_id"]
    answer = stage.ask("POST", "/api/meetings", json=wish)
    assert answer.status_code == 201, answer.text


# -- a refund ----------------------------------------------------------------------------------------------------------


def _refund_prepared(stage: Stage) -> None:
    stripe = registry.from_settings(stage.settings).stripe
    assert stripe is not None
    with stage.rows() as db:
        payment = add_payment(db, starts_at=tomorrow(datetime.now(UTC)))
        wish = CheckoutRequest(
            subject=payments.subject_of(payment),
            title="Consultation",
            amount=payment.amount,
            currency=payment.currency,
            email=BOOKER,
            success_url="https://clinic.example/back",
            cancel_url="https://clinic.example/left",
            expires_at=datetime.now(UTC) + timedelta(minutes=45),
        )
        made = stripe.create_checkout(wish, idempotency_key="checkout-of-this-journey")
        control_stripe.pay(stage.simulator, made.id, deliver=False)
        with db.unit_of_work(STRIPE) as ctx:
            payments.apply_session(ctx, made, payment_id=payment.id)
        told = checkout_snapshots.fetch_session(stripe, made.id)
        with db.unit_of_work(STRIPE) as ctx:
            settlement.apply(ctx, told)
    stage.facts["payment_id"] = payment.id
    _add_staff(stage, Role.FINANCE)


def _finance_refunds(stage: Stage) -> None:
    stage.command("refund", payment_id=stage.facts["payment_id"], amount=3000)


# -- a run over many clients, and the credits of a month ---------------------------------------------------------------


def _clients_prepared(stage: Stage) -> None:
    with stage.rows() as db, db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add_all(Client(name=f"Client {number}", onboarding_complete=True) for number in range(12))
    _add_staff(stage, Role.OPS)


def _ops_pauses(stage: Stage) -> None:
    stage.command("pause_everybody")


def _members_prepared(stage: Stage) -> None:
    due = datetime.now(UTC) - timedelta(days=1)
    with stage.rows() as db, db.unit_of_work(OPERATOR) as ctx:
        for number in range(3):
            values = {"usage_credits": 1000, "used_credits": 400 + number, "next_credit_renewal": due}
            ctx.session.add(Profile(user_id=f"user_{number}", membership=Membership.PRO, **values))


def _credits_are_due(stage: Stage) -> None:
    stage.tick("renew_credits")


def _add_staff(stage: Stage, role: Role) -> None:
    with stage.rows() as db, db.unit_of_work(OPERATOR) as ctx:
        ctx.session.add(StaffMember(email=f"{role.value}@demo.test", name=role.value, role=role, password_hash="none"))


JOURNEYS = {
    journey.name: journey
    for journey in (
        Journey("purchase", _purchase_prepared, (_whop_tells, _signs_in)),
        Journey("merge", _merge_prepared, (_support_merges,)),
        Journey("booking", _booking_prepared, (_books, _pays)),
        Journey("registration", _booking_prepared, (_registers,)),
        Journey("refund", _refund_prepared, (_finance_refunds,)),
        Journey("bulk run", _clients_prepared, (_ops_pauses,)),
        Journey("credits", _members_prepared, (_credits_are_due,)),
    )
}
