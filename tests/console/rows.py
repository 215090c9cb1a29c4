"""One of everything that the console shows, with texts that would break a page that does not escape them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

import models as m

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
HOSTILE = "<b onclick='x()'>O'Neil & \"Söhne\"</b> {{ 7*7 }}"


def one_of_everything(session: Session) -> dict[str, Any]:
    """The key of one record per section, all of them connected."""
    practitioner = m.Practitioner(name=HOSTILE, email="doc@example.com", time_zone="Europe/Paris")
    session.add(practitioner)
    session.flush()
    kind = m.SessionType(practitioner_id=practitioner.id, title=HOSTILE, minutes=50, price_amount=9500)
    user = m.User(open_id="user_1", name=HOSTILE, email="Ann@Example.com")
    profile = m.Profile(user_id="user_1", email="ann@example.com", name=HOSTILE, whop_membership_id="mem_1")
    client = m.Client(name=HOSTILE, email="shop@example.com")
    organization = m.Organization(workos_id="org_1", name=HOSTILE)
    pending = m.PendingProfile(
        email="ann+whop@example.com",
        name=HOSTILE,
        whop_membership_id="mem_1",
        claimed=True,
        claimed_by_user_id="user_1",
        claimed_at=NOW,
        usage_credits=1000,
    )
    guest = m.Guest(email="ann@example.com", name=HOSTILE, workos_user_id="user_1", workos_org_id="org_1")
    session.add_all([kind, user, profile, client, organization, pending, guest])
    session.flush()
    rows = {
        "booking": m.Booking(
            practitioner_id=practitioner.id,
            session_type_id=kind.id,
            client_name=HOSTILE,
            client_email="ann@example.com",
            starts_at=NOW,
            ends_at=NOW + timedelta(minutes=50),
            price_amount=9500,
        ),
        "meeting": m.Meeting(
            practitioner_id=practitioner.id,
            guest_email="ann@example.com",
            guest_org_id="org_1",
            starts_at=NOW,
            ends_at=NOW + timedelta(minutes=30),
        ),
        "onboarding": m.OnboardingState(client_id=client.id),
        "flag change": m.FlagChange(
            client_id=client.id,
            flag=m.FlagName.AI_DISABLED,
            reason=HOSTILE,
            by=HOSTILE,
            since=NOW,
            until=NOW + timedelta(days=1),
            on_expiry=m.OnExpiry.STAY,
            tell_email="ann@example.com",
            tell_at=NOW,
        ),
        "event": m.WebhookEvent(
            provider="whop",
            external_id="evt_1",
            type=HOSTILE,
            subject="mem_1",
            body=b'{"name": "</pre><script>alert(1)</script>"}',
        ),
        "mail": m.SentEmail(
            template="claim",
            to_email="ann@example.com",
            subject=HOSTILE,
            text_body=HOSTILE,
            html_body="<p style='color:red'>Hello</p><script>alert(1)</script>",
            pending_profile_id=pending.id,
        ),
        "merge": m.Merge(
            kind=m.MergeKind.CREATED,
            pending_profile_id=pending.id,
            user_id="user_1",
            after={"usage_credits": 1000, "name": HOSTILE},
            made_by="support@example.com",
            reason=HOSTILE,
        ),
        "address": m.PersonAddress(user_id="user_1", email="ann@example.com", is_primary=True, verified_at=NOW),
        "extra": m.ExtraPurchase(pending_profile_id=pending.id, user_id="user_1"),
        "membership": m.ProviderMembership(
            provider=m.PaymentProvider.WHOP,
            external_id="mem_1",
            name=HOSTILE,
            email="ann@example.com",
            profile_user_id="user_1",
            status=m.MembershipStatus.INACTIVE,
            period_end=NOW,
        ),
    }
    rows["service_key"] = m.ServiceKey(
        name=HOSTILE, hint="bdk_abcdef", key_hash=b"x", scopes=list(m.Scope), created_by="admin@example.com"
    )
    session.add_all(rows.values())
    session.flush()
    money = _money(session, rows["booking"].id)
    books = _books(session, client.id)
    return {
        **money,
        **_differences(session, money["payments"]),
        "exports": _export(session),
        **books,
        **_run(session, client.id),
        **_billing(session, client.id),
        "bookings": rows["booking"].id,
        "clients": client.id,
        "extra-purchases": rows["extra"].id,
        "flag-changes": rows["flag change"].id,
        "guests": guest.id,
        "meetings": rows["meeting"].id,
        "memberships": rows["membership"].id,
        "merges": rows["merge"].id,
        "onboarding-states": rows["onboarding"].id,
        "organizations": organization.id,
        "pending-profiles": pending.id,
        "person-addresses": rows["address"].id,
        "practitioners": practitioner.id,
        "profiles": profile.user_id,
        "purchases": pending.id,
        "sent-emails": rows["mail"].id,
        "service-keys": rows["service_key"].id,
        "session-types": kind.id,
        "users": user.id,
        "webhook-events": rows["event"].id,
    }


def _differences(session: Session, payment_id: int) -> dict[str, Any]:
    """A comparison and one difference that it found."""
    run = m.DriftRun(provider="stripe", by=HOSTILE, started_at=NOW, finished_at=NOW, compared=1, found=1)
    session.add(run)
    session.flush()
    finding = m.DriftFinding(
        run_id=run.id,
        provider="stripe",
        external_id="pi_1",
        subject=f"payment:{payment_id}",
        field="record",
        theirs=HOSTILE,
    )
    session.add(finding)
    session.flush()
    return {"drift-runs": run.id, "drift-findings": finding.id}


def _export(session: Session) -> int:
    """Made by somebody else than whoever looks."""
    maker = m.StaffMember(email="maker@example.com", name=HOSTILE, role=m.Role.OPS, password_hash="none")
    session.add(maker)
    session.flush()
    export = m.Export(
        section="bookings",
        arguments=[["q", HOSTILE]],
        filter_words=HOSTILE,
        format=m.ExportFormat.CSV,
        time_zone="Europe/Paris",
        by_id=maker.id,
    )
    session.add(export)
    session.flush()
    return export.id


def _run(session: Session, client_id: int) -> dict[str, Any]:
    """A run over the client that somebody of ops let go."""
    starter = m.StaffMember(email="starter@example.com", name=HOSTILE, role=m.Role.OPS, password_hash="none")
    session.add(starter)
    session.flush()
    run = m.BulkRun(
        flag=m.FlagName.OUTBOUND_PAUSED,
        turns_on=True,
        wish={"flag": "outbound_paused", "turns_on": True, "reason": HOSTILE},
        chosen_by=HOSTILE,
        state=m.BulkState.DONE,
        by=starter.email,
        by_id=starter.id,
        size=1,
    )
    session.add(run)
    session.flush()
    item = m.BulkItem(run_id=run.id, client_id=client_id, seen="abc", outcome=m.BulkOutcome.FAILED, because=HOSTILE)
    session.add(item)
    session.flush()
    return {"bulk-runs": run.id, "bulk-items": item.id}


def _billing(session: Session, client_id: int) -> dict[str, Any]:
    """A subscription that is past due, overridden, and a renewal of credits."""
    subscription = m.Subscription(
        client_id=client_id,
        stripe_subscription_id="sub_1",
        stripe_customer_id=HOSTILE,
        status="past_due",
        currency="eur",
        monthly_amount=9900,
        amount_due=9900,
        past_due_since=NOW,
        cancel_at_period_end=True,
        current_period_end=NOW,
        fetched_at=NOW,
    )
    override = m.BillingOverride(
        client_id=client_id,
        status=m.BillingStatus.ACTIVE,
        reason=HOSTILE,
        by="finance@example.com",
        since=NOW,
        until=NOW + timedelta(days=36_500),
    )
    membership = session.scalars(sa.select(m.ProviderMembership)).one()
    renewal = m.CreditPeriod(
        membership_id=membership.id, user_id="user_1", starts_at=NOW, granted_at=NOW, credits=1000, used_before=700
    )
    adjustment = m.Adjustment(
        user_id="user_1",
        kind=m.AdjustmentKind.CREDITS_ADDED,
        credits=500,
        usage_before=0,
        used_before=0,
        usage_after=500,
        used_after=0,
        reason=HOSTILE,
        made_by=HOSTILE,
        made_at=NOW,
    )
    customer = m.ClientCustomer(
        client_id=client_id, stripe_customer_id=HOSTILE, email="office@example.com", name=HOSTILE, since=NOW
    )
    paid = m.MembershipPayment(
        membership_id=membership.id,
        provider=m.PaymentProvider.WHOP,
        external_id=HOSTILE,
        provider_status=HOSTILE,
        amount=4900,
        currency="usd",
        captured_amount=4900,
        refundable=True,
        paid_at=NOW,
        asked_at=NOW,
    )
    session.add_all([subscription, override, customer, renewal, adjustment, paid])
    session.flush()
    made = {"subscriptions": subscription.id, "client-customers": customer.id, "membership-payments": paid.id}
    return made | {"billing-overrides": override.id, "credit-renewals": renewal.id, "adjustments": adjustment.id}


def _money(session: Session, booking_id: int) -> dict[str, Any]:
    """A large refund of a disputed payment, asked for by somebody, and the call that carries it."""
    asker = m.StaffMember(email="asker@example.com", name=HOSTILE, role=m.Role.FINANCE, password_hash="none")
    payment = m.Payment(
        booking_id=booking_id,
        state=m.PaymentState.PAID,
        amount=60_000,
        currency="eur",
        captured_amount=60_000,
        reserved_amount=30_000,
        stripe_payment_intent_id="pi_1",
        dispute_id="du_1",
        dispute_status="needs_response",
        dispute_reason=HOSTILE,
        dispute_due_by=NOW,
    )
    session.add_all([asker, payment])
    session.flush()
    dispute = m.Dispute(
        payment_id=payment.id,
        stripe_dispute_id="du_1",
        status="needs_response",
        reason=HOSTILE,
        amount=60_000,
        currency="eur",
        due_by=NOW,
    )
    session.add(dispute)
    session.flush()
    refund = m.Refund(
        payment_id=payment.id,
        amount=30_000,
        currency="eur",
        state=m.RefundState.AWAITING_APPROVAL,
        reason=m.RefundReason.OTHER,
        note=HOSTILE,
        requested_by=asker.email,
    )
    session.add(refund)
    session.flush()
    approval = m.Approval(refund_id=refund.id, requested_by_id=asker.id)
    call = m.ProviderCall(
        provider="stripe",
        operation="refund.create",
        idempotency_key=f"refund-{refund.id}",
        subject=f"refund:{refund.id}",
        error_code=HOSTILE,
    )
    session.add_all([approval, call])
    session.flush()
    made = {"payments": payment.id, "refunds": refund.id, "approvals": approval.id, "provider-calls": call.id}
    return made | {"disputes": dispute.id}


def _books(session: Session, client_id: int) -> dict[str, Any]:
    """A client who is past due and leaves, a step of revenue, and a closed month with one line."""
    client = session.get_one(m.Client, client_id)
    client.pending_cancellation, client.cancellation_requested_at = True, NOW
    subscription = m.Subscription(
        client_id=client_id,
        stripe_subscription_id="sub_books",
        stripe_customer_id="cus_books",
        status="past_due",
        currency="eur",
        monthly_amount=9900,
        amount_due=9900,
        past_due_since=NOW,
        cancel_at=NOW + timedelta(days=20),
        fetched_at=NOW,
    )
    step = m.BillingChange(
        client_id=client_id,
        at=NOW,
        status_before=m.BillingStatus.NONE,
        status_after=m.BillingStatus.ACTIVE,
        currency="eur",
        monthly_after=9900,
        movement=m.Movement.NEW,
        cause="stripe",
    )
    closing = m.MonthClosing(
        month=NOW.date(), closed_at=NOW, closed_by="fay@example.com", note=HOSTILE, lines=1, totals={}, digest="abc"
    )
    session.add_all([subscription, step, closing])
    session.flush()
    line = m.MonthLine(
        closing_id=closing.id,
        line_key=f"billing_change:{step.id}",
        kind="new",
        at=NOW,
        currency="eur",
        amount=9900,
        about=f"client:{client_id}",
    )
    session.add(line)
    session.flush()
    return {
        "past-due": subscription.id,
        "cancellations": client_id,
        "billing-changes": step.id,
        "month-lines": line.id,
    }
