"""A refund leaves once, whatever happens to its answer; what nobody was told is asked about before anything else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text

from admin_app.context import Job
from admin_app.db import Database
from admin_app.errors import Conflict, Forbidden, NotFound
from admin_app.services import payments, refunds
from admin_app.services.payments import refund_states
from admin_app.services.payments.refund_tills import Tills
from admin_app.services.refunds import refund_sending
from models import AuditEntry, Payment, ProviderCall, Refund, RefundState, Role
from tests.services.factories import OPERATOR, SUPPORT
from tests.services.money import STRIPE, add_paid, add_person, ask_back, refund_now, require_reserve
from tests.services.payments.stripe_twin import StripeTwin, outcome
from tests.services.refunds.test_refunds import jobs

SOON, LATE = timedelta(seconds=30), timedelta(minutes=3)


@pytest.fixture
def payment(db: Database) -> Payment:
    return add_paid(db)


@pytest.fixture
def refund(db: Database, payment: Payment) -> Refund:
    return ask_back(db, payment, 3000)


@pytest.fixture
def stripe(payment: Payment) -> StripeTwin:
    return StripeTwin({payment.stripe_payment_intent_id or "": payment.captured_amount})


def work_of(db: Database) -> Callable[[], Any]:
    return lambda: db.unit_of_work(Job("send_refund"))


def send(db: Database, stripe: StripeTwin, refund: Refund) -> str:
    return outcome(lambda: refund_sending.send(work_of(db), Tills(stripe), refund_id=refund.id))


def ask(db: Database, stripe: StripeTwin, refund: Refund) -> str:
    return outcome(lambda: refund_sending.ask(work_of(db), Tills(stripe), refund_id=refund.id))


def later(db: Database, by: timedelta) -> None:
    now = db.clock() + by
    db.clock = lambda: now


def call_of(db: Database, refund: Refund) -> ProviderCall:
    with db.read_only() as read:
        key = refund_states.sending_key(refund)
        query = select(ProviderCall).where(ProviderCall.idempotency_key == key)
        return read.scalars(query.execution_options(populate_existing=True)).one()


def settled(db: Database, refund: Refund) -> tuple[str, str, int]:
    call = call_of(db, refund)
    return refund_now(db, refund.id).state.value, call.state.value, call.attempts


def test_a_refund_that_arrives(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    assert send(db, stripe, refund) == "done"
    assert send(db, stripe, refund) == "done"
    assert settled(db, refund) == ("succeeded", "succeeded", 1)
    now = refund_now(db, refund.id)
    assert (now.stripe_refund_id, now.settled_at is not None) == (stripe.made[0].id, True)
    assert call_of(db, refund).external_id == now.stripe_refund_id
    assert stripe.keys == [refund_states.sending_key(refund)]


def test_the_bank_takes_its_time(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    stripe.status = "pending"
    send(db, stripe, refund)
    assert settled(db, refund) == ("sent", "succeeded", 1)
    stripe.become(stripe.made[0].id, "failed")
    ask(db, stripe, refund)
    assert refund_now(db, refund.id).state is RefundState.FAILED
    require_reserve(db, refund.payment_id)


def test_a_clear_no_ends_it(db: Database, stripe: StripeTwin, payment: Payment, refund: Refund) -> None:
    stripe.faults = ["refused"]
    send(db, stripe, refund)
    assert settled(db, refund) == ("failed", "failed", 1)
    assert refund_now(db, refund.id).failure_code == "charge_already_refunded"
    with db.read_only() as read:
        assert refunds.quote(read, payment.id).refundable == 10_000


def test_certainly_nothing_happened_so_the_job_tries_again(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    stripe.faults = ["busy", "busy"]
    assert [send(db, stripe, refund) for _ in range(3)] == ["provider_unavailable", "provider_unavailable", "done"]
    assert settled(db, refund) == ("succeeded", "succeeded", 3)
    assert len(stripe.made) == 1


def test_no_answer_is_unknown_until_stripe_is_asked(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    stripe.faults = ["applied_then_lost"]
    assert send(db, stripe, refund) == "done"
    assert settled(db, refund) == ("unknown", "unknown", 1)
    assert jobs(db)[-1] == "ask_about_refund"
    assert ask(db, stripe, refund) == "done"
    assert settled(db, refund) == ("succeeded", "succeeded", 1)
    assert len(stripe.made) == 1


def test_what_never_arrived_is_sent_again_only_when_it_is_time(
    db: Database, stripe: StripeTwin, refund: Refund
) -> None:
    stripe.faults = ["lost"]
    send(db, stripe, refund)
    later(db, SOON)
    ask(db, stripe, refund)
    assert settled(db, refund) == ("unknown", "unknown", 1)
    later(db, LATE)
    ask(db, stripe, refund)
    assert settled(db, refund) == ("succeeded", "succeeded", 2)
    assert stripe.keys == [refund_states.sending_key(refund)] * 2
    assert len(stripe.made) == 1


def test_a_second_try_that_is_lost_too_waits_its_time_again(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    stripe.faults = ["lost", "lost", "busy"]
    send(db, stripe, refund)
    later(db, LATE)
    ask(db, stripe, refund)
    later(db, SOON)
    ask(db, stripe, refund)
    assert settled(db, refund) == ("unknown", "unknown", 2)
    later(db, LATE)
    assert ask(db, stripe, refund) == "provider_unavailable"
    assert settled(db, refund) == ("unknown", "unknown", 3)
    later(db, LATE)
    ask(db, stripe, refund)
    assert settled(db, refund) == ("succeeded", "succeeded", 4)
    assert len(stripe.made) == 1


def test_a_second_try_that_is_refused_ends_it(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    stripe.faults = ["lost", "refused"]
    send(db, stripe, refund)
    later(db, LATE)
    ask(db, stripe, refund)
    assert settled(db, refund) == ("failed", "failed", 2)
    require_reserve(db, refund.payment_id)


def test_while_stripe_is_silent_it_stays_unknown(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    stripe.faults, stripe.silent = ["lost"], True
    send(db, stripe, refund)
    later(db, LATE)
    assert ask(db, stripe, refund) == "provider_unavailable"
    assert settled(db, refund) == ("unknown", "unknown", 1)


def test_a_worker_that_dies_on_the_way_leaves_it_to_be_asked_about(
    db: Database, stripe: StripeTwin, refund: Refund
) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    stripe.meanwhile = die
    with pytest.raises(Killed):
        send(db, stripe, refund)
    assert settled(db, refund) == ("requested", "intended", 1)
    stripe.meanwhile = lambda: None
    later(db, LATE)
    send(db, stripe, refund)  # the job again, after the crash
    assert settled(db, refund) == ("succeeded", "succeeded", 1)
    assert stripe.keys == [refund_states.sending_key(refund)]


@pytest.mark.parametrize("fault", [[], ["applied_then_lost"]])
def test_the_event_may_be_faster_than_the_answer(
    db: Database, stripe: StripeTwin, payment: Payment, refund: Refund, fault: list[Any]
) -> None:
    def hear() -> None:
        with db.unit_of_work(STRIPE) as ctx:
            refund_states.apply(ctx, payments.locked(ctx, payment.id), stripe.made)

    stripe.faults, stripe.meanwhile = fault, hear
    send(db, stripe, refund)
    assert settled(db, refund) == ("succeeded", "succeeded", 1)
    with db.read_only() as read:
        assert len(read.scalars(select(Refund)).all()) == 1


def test_what_is_left_lying_is_queued_again(db: Database, stripe: StripeTwin, payment: Payment, refund: Refund) -> None:
    other = ask_back(db, payment, 100)
    stripe.faults = ["lost"]
    send(db, stripe, refund)
    with db.unit_of_work(Job("test")) as ctx:
        ctx.session.execute(text("DELETE FROM procrastinate_jobs"))
    with db.unit_of_work(Job("queue")) as ctx:
        assert refund_sending.queue_unfinished(ctx) == 1
    later(db, timedelta(minutes=11))
    for _ in range(2):
        with db.unit_of_work(Job("queue")) as ctx:
            assert refund_sending.queue_unfinished(ctx) == 2
    assert sorted(jobs(db)) == ["ask_about_refund", "send_refund"]
    assert refund_now(db, other.id).state is RefundState.REQUESTED


def test_what_is_long_with_the_bank_is_asked_about(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    stripe.status = "pending"
    send(db, stripe, refund)
    for waited, asked in ((timedelta(), 0), (timedelta(hours=2), 1)):
        later(db, waited)
        with db.unit_of_work(Job("queue")) as ctx:
            assert refund_sending.queue_pending(ctx, older_than=timedelta(hours=1)) == asked


def test_a_person_has_stripe_asked(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    with db.unit_of_work(SUPPORT) as ctx:
        assert refund_sending.plan_ask(ctx, refund_id=refund.id).refusal is not None
        with pytest.raises(Conflict):
            refund_sending.ask_soon(ctx, refund_id=refund.id)
        with pytest.raises(NotFound):
            refund_sending.plan_ask(ctx, refund_id=10**12)
    stripe.faults = ["lost"]
    send(db, stripe, refund)
    with db.unit_of_work(SUPPORT) as ctx:
        assert refund_sending.plan_ask(ctx, refund_id=refund.id).refusal is None
        refund_sending.ask_soon(ctx, refund_id=refund.id)
        assert ctx.session.scalars(select(AuditEntry.event).order_by(AuditEntry.id.desc())).first() == "refund.asked"
    with db.unit_of_work(add_person(db, Role.OPS)) as ctx, pytest.raises(Forbidden):
        refund_sending.ask_soon(ctx, refund_id=refund.id)


def test_nothing_is_sent_that_waits_or_was_declined(db: Database, stripe: StripeTwin) -> None:
    payment = add_paid(db, amount=60_000)
    waiting = ask_back(db, payment, 50_000, by=add_person(db))
    send(db, stripe, waiting)
    ask(db, stripe, waiting)
    assert stripe.keys == []
    assert outcome(lambda: refund_sending.send(work_of(db), Tills(stripe), refund_id=10**12)) == "not_found"


def test_the_port_is_never_called_inside_a_transaction(db: Database, stripe: StripeTwin, refund: Refund) -> None:
    open_now = 0

    class Counting:
        def __enter__(self) -> Any:
            nonlocal open_now
            open_now += 1
            self._inner = db.unit_of_work(Job("send_refund"))
            return self._inner.__enter__()

        def __exit__(self, *error: Any) -> Any:
            nonlocal open_now
            open_now -= 1
            return self._inner.__exit__(*error)

    seen: list[int] = []
    stripe.meanwhile = lambda: seen.append(open_now)
    refund_sending.send(Counting, Tills(stripe), refund_id=refund.id)
    assert seen == [0]


def test_two_databases_of_one_account_never_share_a_key(db: Database, payment: Payment, refund: Refund) -> None:
    """Each begins to count at one: a copy for trying things out must not answer for the real one's refunds."""
    key = refund_states.sending_key(refund)
    with db.unit_of_work(OPERATOR) as ctx:
        assert ctx.session.scalar(select(refund_states.key_in_sql())) == key
        ctx.session.execute(delete(Refund).where(Refund.id == refund.id))
        ctx.session.execute(text("ALTER TABLE refunds ALTER COLUMN id RESTART WITH 1"))
        refunds.write(ctx, ctx.session.get_one(Payment, payment.id), 1, refund.reason, "", waits=False)
        twin = ctx.session.scalars(select(Refund)).one()
        ctx.session.execute(text(f"UPDATE refunds SET id = {refund.id} WHERE id = {twin.id}"))
        ctx.session.expire_all()
        other = refund_states.sending_key(ctx.session.scalars(select(Refund)).one())
    assert other != key
    assert {each.rpartition("-")[0] for each in (key, other)} == {f"refund-{refund.id}"}


def test_a_refund_from_before_keeps_its_key(refund: Refund) -> None:
    refund.key_suffix = None
    assert refund_states.sending_key(refund) == f"refund-{refund.id}"
