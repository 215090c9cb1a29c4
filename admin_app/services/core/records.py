"""How records are named in the audit, and the locks that are taken by name rather than by row."""

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.purchases import PendingProfile, Profile


def pending_key(pending: PendingProfile | int) -> str:
    """The audit's key of a pending purchase, from the row or its id."""
    return f"pending_profile:{pending if isinstance(pending, int) else pending.id}"


def profile_key(profile: Profile | str) -> str:
    """The audit's key of a profile, from the row or its Clerk user id."""
    return f"profile:{profile if isinstance(profile, str) else profile.user_id}"


def address_key(address_id: int) -> str:
    """The audit's key of a person's further address, by its id in `person_addresses`."""
    return f"person_address:{address_id}"


def merge_key(merge_id: int) -> str:
    """The audit's key of a merge of a purchase into a profile."""
    return f"merge:{merge_id}"


def extra_key(extra_id: int) -> str:
    """The audit's key of an extra purchase of somebody who is pro already."""
    return f"extra_purchase:{extra_id}"


def event_key(event_id: int) -> str:
    """The audit's key of a delivery, by its id in `webhook_events`."""
    return f"webhook_event:{event_id}"


def membership_key(membership_id: str) -> str:
    """A provider's membership, so that its story is found even when its row is gone."""
    return f"whop_membership:{membership_id}"


def given_key(membership_id: int) -> str:
    """A membership that no provider knows, by our own number."""
    return f"membership:{membership_id}"


def customer_key(customer_id: int) -> str:
    """A client's customer at Stripe, by our own number."""
    return f"client_customer:{customer_id}"


def booking_key(booking_id: int) -> str:
    """The audit's key of a booking, which is its subject in jobs and payments too."""
    return f"booking:{booking_id}"


def meeting_key(meeting_id: int) -> str:
    """The audit's key of a meeting, which is its subject in jobs and payments too."""
    return f"meeting:{meeting_id}"


def payment_key(payment_id: int) -> str:
    """The audit's key of a payment for an appointment."""
    return f"payment:{payment_id}"


def membership_payment_key(payment_id: int) -> str:
    """The audit's key of a payment for a membership."""
    return f"membership_payment:{payment_id}"


def refund_key(refund_id: int) -> str:
    """The audit's key of a refund."""
    return f"refund:{refund_id}"


def dispute_key(dispute_id: int) -> str:
    """The audit's key of a dispute."""
    return f"dispute:{dispute_id}"


def guest_key(guest_id: int) -> str:
    """The audit's key of a guest."""
    return f"guest:{guest_id}"


def practitioner_key(practitioner_id: int) -> str:
    """The audit's key of a practitioner."""
    return f"practitioner:{practitioner_id}"


def session_type_key(session_type_id: int) -> str:
    """The audit's key of a session type."""
    return f"session_type:{session_type_id}"


def client_key(client_id: int) -> str:
    """The audit's key of a client."""
    return f"client:{client_id}"


def billing_override_key(override_id: int) -> str:
    """The audit's key of a billing override."""
    return f"billing_override:{override_id}"


def subscription_key(subscription_id: int) -> str:
    """The audit's key of a subscription, by our id and not Stripe's."""
    return f"subscription:{subscription_id}"


def flag_change_key(change_id: int) -> str:
    """The audit's key of a period of a flag, by its id in `flag_changes`."""
    return f"flag_change:{change_id}"


def bulk_run_key(run_id: int) -> str:
    """The audit's key of a bulk run."""
    return f"bulk_run:{run_id}"


def provider_key(provider: str) -> str:
    """The audit's key of a provider as a whole, by its short name (`whop`, `stripe`)."""
    return f"provider:{provider}"


def finding_key(finding_id: int) -> str:
    """The audit's key of a difference, by its id in `drift_findings`."""
    return f"drift_finding:{finding_id}"


def export_key(export_id: int) -> str:
    """The audit's key of an export."""
    return f"export:{export_id}"


def service_key_key(service_key_id: int) -> str:
    """The audit's key of a service key: its id, never the key itself."""
    return f"service_key:{service_key_id}"


def month_key(month: date) -> str:
    """The audit's key of a month of the books, from any day of it: `month:2026-05`."""
    return f"month:{month:%Y-%m}"


# The emergency stop is everyone's and nobody's.
EVERYONE = "everyone:all"


def lock_names(session: Session, *names: str) -> None:
    """Lock things that may not have a row yet until the transaction ends; sorted, so that no two wait crosswise."""
    for name in sorted(names):
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def membership_keys(row: PendingProfile | Profile) -> list[str]:
    """The audit's keys of the Whop membership that the row was bought by: one, or none."""
    return [membership_key(row.whop_membership_id)] if row.whop_membership_id else []
