"""The small business that the traffic is about: who can be booked, and finance, who gives money back."""

from sqlalchemy import select

from admin_app.context import Staff
from admin_app.services import refunds
from admin_app.simulator.calcom import control_calcom
from models import Payment, PaymentState, Practitioner, Refund, Role, SessionType, StaffMember
from tests.faults.product import Product
from tests.services.factories import OPERATOR

PRACTITIONERS = 4
HOURS = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
FINANCE = "finance@demo.test"


def founded(product: Product) -> list[tuple[int, int]]:
    """Who can be booked, and for what: numbers of practitioners and of their session types. One is in Cal.com."""
    control_calcom.seed_event_types(
        product.simulator, [{"id": "77", "minutes": 60, "host_id": 77, "hours": HOURS, "time_zone": "UTC"}]
    )
    found = []
    with product.database() as database, database.unit_of_work(OPERATOR) as ctx:
        for number in range(PRACTITIONERS):
            person = Practitioner(
                name=f"Dr {number}",
                email=f"dr{number}@example.com",
                working_hours=HOURS,
                calcom_event_type_id=None if number else "77",
            )
            ctx.session.add(person)
            ctx.session.flush()
            kind = SessionType(practitioner_id=person.id, title="Consultation", minutes=60, price_amount=9_000)
            ctx.session.add(kind)
            ctx.session.flush()
            found.append((person.id, kind.id))
        ctx.session.add(StaffMember(email=FINANCE, name="Fin", role=Role.FINANCE, password_hash="none"))
    return found


def refund_one(product: Product) -> bool:
    """Finance gives back a part of a payment of which nothing went back yet; whether there was one."""
    with product.database() as database:
        with database.read_only() as session:
            member = session.scalars(select(StaffMember).where(StaffMember.email == FINANCE)).one()
            fresh = select(Payment.id).where(Payment.state == PaymentState.PAID, Payment.captured_amount > 0)
            payment_id = session.scalar(fresh.where(~Payment.id.in_(select(Refund.payment_id))).limit(1))
        if payment_id is None:
            return False
        actor = Staff(member.id, member.email, member.role)
        with database.unit_of_work(actor) as ctx:
            wish = {"payment_id": payment_id, "amount": 1_000, "approval_above": 10**6}
            plan = refunds.plan_request(ctx, **wish)
            refunds.request(ctx, **wish, reason_code="requested_by_customer", note="", shown=plan.fingerprint)
    return True
