"""Giving money back in the console: who sees what, the plan before the act, two people for a large refund."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from admin_app.db import Database
from admin_app.services import payments
from admin_app.services.payments import refund_states
from models import Approval, Dispute, Payment, Refund, RefundState, Role
from tests.console.conftest import SETUP
from tests.console.forms import form_on
from tests.console.page_checks import CheckedClient
from tests.services.money import STRIPE, add_paid, add_payment, dispute, payment_now, refund_at_stripe, refund_now, told

ClientFor = Callable[[Role], CheckedClient]


@pytest.fixture
def payment(db: Database) -> Payment:
    return add_paid(db, amount=60_000)


def ask_for(client: CheckedClient, payment: Payment, amount: str, **typed: str) -> Any:
    page = f"/admin/payments/{payment.id}/refund"
    carried = form_on(client, f"{page}?amount={amount}")
    given = {"reason_code": "requested_by_customer", "note": ""} | typed
    return client.post(page, data=carried | given)


def only_refund(db: Database) -> Refund:
    with db.read_only() as read:
        return read.scalars(select(Refund).execution_options(populate_existing=True)).one()


def test_a_refund_is_looked_at_then_asked_for(db: Database, payment: Payment, client_for: ClientFor) -> None:
    client = client_for(Role.SUPPORT)
    page = client.get(f"/admin/payments/{payment.id}").text
    assert f'href="/admin/payments/{payment.id}/refund"' in page
    first = client.get(f"/admin/payments/{payment.id}/refund").text
    assert 'value="600.00"' in first  # all that is left is proposed
    assert 'name="reason_code"' not in first  # nothing to send before the plan was seen
    plan = client.get(f"/admin/payments/{payment.id}/refund?amount=30").text
    assert "30.00 EUR go back to what was paid with" in plan
    assert "570.00 EUR" in plan
    answer = ask_for(client, payment, "30", note="Was ill")
    assert (answer.status_code, answer.location) == (303, f"/admin/payments/{payment.id}")
    refund = only_refund(db)
    assert (refund.amount, refund.state, refund.note) == (3000, RefundState.REQUESTED, "Was ill")
    assert "is on its way" in client.get(answer.location).text
    story = client.get(f"/admin/refunds/{refund.id}").text
    assert "It is about to be sent to Stripe." in story
    assert "support@example.com" in story


def test_a_second_click_is_not_a_second_refund(db: Database, payment: Payment, client_for: ClientFor) -> None:
    client = client_for(Role.FINANCE)
    page = f"/admin/payments/{payment.id}/refund"
    data = form_on(client, f"{page}?amount=30") | {"reason_code": "duplicate", "note": ""}
    assert client.post(page, data=data).status_code == 303
    again = client.post(page, data=data)
    assert again.status_code == 409
    assert "Something changed since this plan was shown" in again.text
    assert payment_now(db, payment.id).reserved_amount == 3000


@pytest.mark.parametrize("amount", ["", "x", "0", "-1", "1.234", "1e9", "99999999999"])
def test_what_is_no_amount_is_a_sentence(db: Database, payment: Payment, client_for: ClientFor, amount: str) -> None:
    client = client_for(Role.FINANCE)
    page = f"/admin/payments/{payment.id}/refund"
    answer = client.get(page, query_string={"amount": amount})
    assert answer.status_code == 422
    assert "This is not an amount in EUR" in answer.text
    token = form_on(client, f"{page}?amount=30")
    assert client.post(page, data=token | {"amount": amount, "reason_code": "duplicate"}).status_code == 422
    assert payment_now(db, payment.id).reserved_amount == 0


def test_what_was_typed_is_kept_when_the_reason_is_missing(
    db: Database, payment: Payment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    answer = ask_for(client, payment, "30", reason_code="other", note="")
    assert answer.status_code == 422
    assert "Write what the reason is." in answer.text
    assert 'value="other" selected' in answer.text
    assert 'name="fingerprint"' in answer.text
    answer = ask_for(client, payment, "30", reason_code="nonsense", note="<b>because</b>")
    assert answer.status_code == 422
    assert "&lt;b&gt;because" in answer.text


def test_more_than_there_is_has_no_button(db: Database, payment: Payment, client_for: ClientFor) -> None:
    page = client_for(Role.FINANCE).get(f"/admin/payments/{payment.id}/refund?amount=600.01").text
    assert "Only 600.00 EUR can be given back" in page
    assert 'name="fingerprint"' not in page


def test_what_cannot_be_given_back_says_why(db: Database, payment: Payment, client_for: ClientFor) -> None:
    client = client_for(Role.FINANCE)
    with db.unit_of_work(STRIPE) as ctx:
        payments.apply_payment(ctx, told(payment, dispute=dispute()))
    page = client.get(f"/admin/payments/{payment.id}/refund?amount=10").text
    assert "The payer disputes this payment" in page
    assert "Show what happens" not in page
    unpaid = add_payment(db)
    assert "Nothing was paid" in client.get(f"/admin/payments/{unpaid.id}/refund").text
    assert f"/admin/payments/{unpaid.id}/refund" not in client.get(f"/admin/payments/{unpaid.id}").text


def test_the_way_from_an_appointment_to_its_refund(db: Database, payment: Payment, client_for: ClientFor) -> None:
    client = client_for(Role.SUPPORT)
    answer = client.get(f"/admin/payments/of-booking/{payment.booking_id}")
    assert (answer.status_code, answer.location) == (302, f"/admin/payments/{payment.id}/refund")
    unpaid = add_payment(db)
    assert client.get(f"/admin/payments/of-booking/{unpaid.booking_id}").status_code == 404
    assert client.get("/admin/payments/of-meeting/1").status_code == 404


def test_a_large_refund_takes_two(db: Database, payment: Payment, client_for: ClientFor) -> None:
    finance, admin, support = client_for(Role.FINANCE), client_for(Role.ADMIN), client_for(Role.SUPPORT)
    answer = ask_for(finance, payment, "300", reason_code="other", note="Practice closed")
    assert "waits for a second person" in finance.get(answer.location).text
    refund = only_refund(db)
    page = f"/admin/refunds/{refund.id}"
    assert "A second person decides about it" in finance.get(page).text
    assert "refund waits for a second person" in finance.get("/admin/").text
    assert f'href="{page}"' in admin.get("/admin/approvals/?open=yes").text

    # the one who asked sees why the button is not there, and is refused when the form is sent all the same
    assert f"{page}/approve" not in finance.get(page).text
    assert f"{page}/decline" not in finance.get(page).text
    assert "Waits for a second person: you asked for this refund yourself." in finance.get(page).text
    assert f'href="{page}/approve"' in admin.get(page).text
    assert "Waits for a second person" not in admin.get(page).text
    own = finance.get(f"{page}/approve").text
    assert "You asked for this refund yourself" in own
    other = admin.get(f"{page}/approve").text
    assert f'href="/admin/bookings/{payment.booking_id}"' in other
    assert f'href="/admin/payments/{payment.id}"' in other
    assert "The appointment stays as it is." in other
    assert 'name="fingerprint"' not in own
    seen = form_on(admin, f"{page}/approve")
    forged = finance.post(f"{page}/approve", data={"csrf_token": _token(finance), "reason": "x"} | _print(seen))
    assert forged.status_code == 403
    assert support.get(f"{page}/approve").status_code == 403
    assert f"{page}/approve" not in support.get(page).text

    plan = admin.get(f"{page}/approve").text
    assert "finance@example.com asked for it" in plan
    assert "Practice closed" in plan
    assert "300.00 EUR go back" in plan
    assert admin.post(f"{page}/approve", data=seen | {"reason": ""}).status_code == 422
    done = admin.post(f"{page}/approve", data=seen | {"reason": "Checked with the practice"})
    assert (done.status_code, done.location) == (303, page)
    again = admin.post(f"{page}/approve", data=seen | {"reason": "Checked with the practice"})
    assert again.status_code == 409
    assert refund_now(db, refund.id).state is RefundState.REQUESTED
    story = admin.get(page).text
    assert "by admin@example.com" in story
    assert "Checked with the practice" in story
    assert f"{page}/approve" not in story


def _token(client: CheckedClient) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/admin/my-account/").text)
    assert found
    return found[1]


def _print(carried: dict[str, str]) -> dict[str, str]:
    return {"fingerprint": carried["fingerprint"]}


def test_a_declined_refund_says_by_whom_and_why(db: Database, payment: Payment, client_for: ClientFor) -> None:
    ask_for(client_for(Role.FINANCE), payment, "300")
    refund, admin = only_refund(db), client_for(Role.ADMIN)
    page = f"/admin/refunds/{refund.id}"
    carried = form_on(admin, f"{page}/decline")
    assert "Nothing is sent." in admin.get(f"{page}/decline").text
    assert admin.post(f"{page}/decline", data=carried | {"reason": "Not agreed"}).status_code == 303
    assert refund_now(db, refund.id).state is RefundState.DECLINED
    assert payment_now(db, payment.id).reserved_amount == 0
    story = admin.get(page).text
    assert "Its money can be asked for again" in story or "its money can be asked for again" in story
    assert "Not agreed" in story


def put(db: Database, refund: Refund, state: RefundState, code: str | None = None) -> None:
    with db.unit_of_work(STRIPE) as ctx:
        payment, locked = refund_states.locked(ctx, refund.id)
        locked.sent_at = ctx.now
        refund_states.move(ctx, payment, locked, state, code)
        refund_states.reserve(ctx, payment)


def test_an_unknown_refund_is_shown_as_such_and_stripe_is_asked(
    db: Database, payment: Payment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    ask_for(client, payment, "30")
    refund = only_refund(db)
    page = f"/admin/refunds/{refund.id}"
    assert f"{page}/ask" not in client.get(page).text
    put(db, refund, RefundState.UNKNOWN)
    story = client.get(page).text
    assert "nobody knows whether it was carried out" in story
    assert "refund without an answer" in client.get("/admin/").text
    assert "Ask Stripe about it before you give more back" in client.get(f"/admin/payments/{payment.id}/refund").text
    answer = client.post(f"{page}/ask", data=form_on(client, f"{page}/ask"))
    assert answer.status_code == 303
    with db.read_only() as read:
        tasks = list(read.scalars(text("SELECT task_name FROM procrastinate_jobs ORDER BY id")))
    assert tasks == ["send_refund", "ask_about_refund"]


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        (RefundState.SENT, None, "the bank is at work"),
        (RefundState.SUCCEEDED, None, "Stripe gave the money back."),
        (RefundState.FAILED, "charge_disputed", "so Stripe gives nothing of it back"),
    ],
)
def test_every_end_is_told(
    db: Database, payment: Payment, client_for: ClientFor, state: RefundState, code: str | None, said: str
) -> None:
    client = client_for(Role.FINANCE)
    ask_for(client, payment, "30")
    refund = only_refund(db)
    put(db, refund, state, code)
    assert said in client.get(f"/admin/refunds/{refund.id}").text


def test_a_refund_made_at_stripe_is_told_as_such(db: Database, payment: Payment, client_for: ClientFor) -> None:
    with db.unit_of_work(STRIPE) as ctx:
        refund_states.apply(ctx, payments.locked(ctx, payment.id), [refund_at_stripe(payment, 4000)])
    client = client_for(Role.AUDITOR)
    page = client.get(f"/admin/refunds/{only_refund(db).id}").text
    assert "40.00 EUR made at Stripe" in page


def test_unknown_calls_come_first_page_by_page(db: Database, client_for: ClientFor) -> None:
    with db.unit_of_work(SETUP) as ctx:
        ctx.session.execute(
            text(
                "INSERT INTO provider_calls (provider, operation, idempotency_key, subject, state)"
                " SELECT 'stripe', 'refund.create', 'k' || n, 'refund:1',"
                " (ARRAY['succeeded','failed','unknown','intended'])[1 + n % 4] FROM generate_series(1, 60) n"
            )
        )
    client = client_for(Role.FINANCE)
    seen: list[str] = []
    address = "/admin/provider-calls/?size=25"
    while address:
        page = client.get(address).text
        seen += re.findall(r'class="tag tag-\w+">(\w+)</span>', page)
        following = re.search(r'href="([^"]+)" rel="next"', page)
        address = following[1].replace("&amp;", "&") if following else ""
    states = [word for word in seen if word in ("unknown", "succeeded", "intended", "failed")]
    assert states == ["unknown"] * 15 + ["succeeded"] * 15 + ["intended"] * 15 + ["failed"] * 15


def test_the_list_of_approvals_tells_who_waits(db: Database, payment: Payment, client_for: ClientFor) -> None:
    ask_for(client_for(Role.FINANCE), payment, "300")
    page = client_for(Role.AUDITOR).get("/admin/approvals/").text
    assert "finance@example.com" in page
    with db.read_only() as read:
        approval = read.scalars(select(Approval)).one()
    assert "300.00 EUR" in client_for(Role.AUDITOR).get(f"/admin/approvals/{approval.id}").text


def test_a_refund_that_came_back_is_on_the_first_page_and_put_right(
    db: Database, payment: Payment, client_for: ClientFor
) -> None:
    client = client_for(Role.FINANCE)
    for status in ("succeeded", "failed"):
        with db.unit_of_work(STRIPE) as ctx:
            told_back = refund_at_stripe(payment, 20_000, id="re_back", status=status)
            refund_states.apply(ctx, payments.locked(ctx, payment.id), [told_back])
    refund = only_refund(db)
    assert 'href="/admin/refunds/?returned=open"' in client.get("/admin/").text
    page = f"/admin/refunds/{refund.id}"
    assert "The bank sent it back" in client.get(page).text
    assert f'href="{page}/put-right"' in client.get(page).text
    plan = client.get(f"{page}/put-right?how=by_hand").text
    assert "count as given back from now on" in plan
    carried = form_on(client, f"{page}/put-right?how=by_hand")
    refused = client.post(f"{page}/put-right", data=carried | {"reason": ""})
    assert refused.status_code == 422
    answer = client.post(f"{page}/put-right", data=carried | {"reason": "By transfer"})
    assert (answer.status_code, answer.location) == (303, page)
    done = client.get(page).text
    assert "It is noted that the 200.00 EUR were paid out by hand." in done
    assert "paid out by hand since" in done
    assert "another way" not in done
    assert "returned=open" not in client.get("/admin/").text
    assert f'href="{page}/put-right"' not in client_for(Role.AUDITOR).get(page).text


def test_each_dispute_of_a_payment_is_listed(db: Database, payment: Payment, client_for: ClientFor) -> None:
    client = client_for(Role.FINANCE)
    for found in (dispute(id="du_1", status="lost", amount=10_000), dispute(id="du_2", amount=20_000)):
        with db.unit_of_work(STRIPE) as ctx:
            payments.apply_payment(ctx, told(payment, dispute=found))
    page = client.get(f"/admin/disputes/?payment={payment.id}").text
    assert "100.00 EUR" in page
    assert "200.00 EUR" in page
    assert "100.00 EUR" not in client.get("/admin/disputes/?state=unanswered").text
    assert "200.00 EUR" in client.get("/admin/disputes/?state=unanswered").text
    assert f"/admin/disputes/?payment={payment.id}" in client.get(f"/admin/payments/{payment.id}").text
    with db.read_only() as read:
        keys = {row.status: row.id for row in read.execute(select(Dispute.status, Dispute.id))}
    answered = client.get(f"/admin/disputes/{keys['needs_response']}").text
    assert "Answer at Stripe" in answered
    assert f"/admin/bookings/{payment.booking_id}" in answered
    assert "Answer at Stripe" not in client.get(f"/admin/disputes/{keys['lost']}").text


def test_of_what_a_lost_dispute_took_nothing_is_given_back(
    db: Database, payment: Payment, client_for: ClientFor
) -> None:
    with db.unit_of_work(STRIPE) as ctx:
        payments.apply_payment(ctx, told(payment, dispute=dispute(id="du_1", status="lost")))
    page = client_for(Role.FINANCE).get(f"/admin/payments/{payment.id}/refund").text
    assert "A dispute about this payment was lost" in page
    assert "Answer the dispute" not in page
