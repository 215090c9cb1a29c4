"""Whom a refund is for: who holds the membership, or whose appointment it was."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from admin_app.services.core.records import given_key, pending_key, profile_key
from admin_app.services.core.timeline_words import provider_name
from admin_app.services.memberships.extras import name_of
from admin_app.services.payments import appointment_payments, refund_sources
from admin_app.services.payments.refund_sources import Paid
from models.bookings import Booking, Meeting
from models.memberships import MembershipPayment, ProviderMembership
from models.payments import Payment
from models.purchases import PendingProfile, Profile


@dataclass(frozen=True)
class Whom:
    """`records` are the payment, what was paid for and who has it, as the audit names them."""

    sentence: str
    records: tuple[str, ...]
    email: str | None


def of(session: Session, paid: Paid) -> Whom:
    """Whom money of this payment goes back to, as far as is known here."""
    return _of_membership(session, paid) if isinstance(paid, MembershipPayment) else _of_appointment(session, paid)


def _of_appointment(session: Session, paid: Payment) -> Whom:
    email: str | None
    if paid.booking_id is not None:
        email = session.get_one(Booking, paid.booking_id).client_email
    else:
        email = session.get_one(Meeting, paid.meeting_id).guest_email
    about = appointment_payments.paid_for(paid)
    said = f"It was paid for {about['what']} {about['number']}" + (f" of {email}." if email else ".")
    return Whom(said, (refund_sources.key(paid), appointment_payments.subject_of(paid)), email)


def _of_membership(session: Session, paid: MembershipPayment) -> Whom:
    row = session.get_one(ProviderMembership, paid.membership_id)
    records = [refund_sources.key(paid), given_key(row.id)]
    email = row.email
    holder: str
    if row.profile_user_id is not None:
        profile = session.get(Profile, row.profile_user_id)
        email = (profile.email if profile is not None else None) or email
        records.append(profile_key(row.profile_user_id))
        holder = f"account {row.profile_user_id} holds" + (f" ({email})" if email else "")
    elif row.pending_profile_id is not None:
        pending = session.get(PendingProfile, row.pending_profile_id)
        email = (pending.email if pending is not None else None) or email
        records.append(pending_key(row.pending_profile_id))
        holder = f"waits as the purchase of {email}"
    else:
        holder = "nobody holds here" + (f"; {provider_name(paid.provider)} has it under {email}" if email else "")
    return Whom(f"It was paid for membership {name_of(row)}, which {holder}.", tuple(records), email)
