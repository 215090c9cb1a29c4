"""How the story of a booking or meeting is told: what its page says already, as its number, is not said again."""

from collections.abc import Mapping
from typing import Any

from admin_app.services.core import audit

# In a sentence the names are the entry's facts, and `amount` is the payment's where the entry is about one.
WORDS = {
    "booking.made": "Made",
    "booking.held": "Made, and its time held",
    "booking.attendees": "{came} joined and {gone} left in {provider}",
    "booking.handed_over": "Handed over from {former} to {practitioner}",
    "booking.brought_in": "Came in from {provider}",
    "booking.confirmed": "Confirmed",
    "booking.canceled": "Canceled: {because}",
    "booking.rescheduled": "Moved to another time",
    "booking.completed": "Marked as completed",
    "booking.no_show": "Noted that nobody came",
    "booking.refund_returned": "The bank sent back what was given back, so it is not refunded",
    "booking.refunded": "Ended, because all of the money went back",
    "booking.mail_requested": "The {mail} mail was asked for once more",
    "mail.resent": "The {mail} mail was asked for once more",
    "mail.settled": "The {mail} mail was marked as settled",
    "provider_call.retried": "{operation} at {provider} is tried again",
    "provider_call.settled": "{operation} at {provider} was marked as settled",
    "payment.paid": "Paid {amount}",
    "payment.failed": "The payment failed: {because}",
    "payment.expired": "The page to pay on expired",
    "payment.disputed": "The payer disputes the payment: {because}",
    "payment.kept": "It was decided to keep {amount}",
    "refund.requested": "A refund of {amount} was asked for",
    "refund.approved": "The refund of {amount} was approved",
    "refund.declined": "The refund of {amount} was declined",
    "refund.asked": "Stripe was asked about the refund of {amount}",
    "refund.put_right": "The refund of {amount} that came back was put right: {how}",
    "refund.found": "A refund of {amount} was made at Stripe itself",
    "refund.settled.succeeded": "The refund of {amount} went through",
    "refund.settled.sent": "The refund of {amount} is with the bank",
    "refund.settled.failed": "The refund of {amount} failed",
    "refund.settled.unknown": "Nobody knows yet what became of the refund of {amount}",
    "refund.settled.declined": "The refund of {amount} was declined",
    "booking.calendar": "{Done} at {provider}",
    "booking.joined": "Found to be one with booking {other}, which was moved in {provider}",
    "guest.resolved": "Linked to the guest {email}",
}
# The mail itself stands in the story.
SAID_BY_OTHERS = frozenset({"booking.mail_sent"})
# Of what changed, only this is not said by the title.
SHOWN_CHANGES = frozenset({"starts_at", "ends_at", "guest_workos_user_id", "guest_org_id", "guest_email"})
# Calls that no act tells of.
CALL_WORDS = {
    "checkout.create": "A page to pay on was opened at Stripe",
    "checkout.expire": "The page to pay on was closed at Stripe",
}
# What a provider was asked to do, where the call's own name would say less.
ASKED_WORDS = {
    "booking.create": "enter the booking",
    "booking.move": "move the booking",
    "booking.cancel": "cancel the booking",
    "address.add": "add an address",
    "address.make_primary": "make an address the primary one",
    "address.unlink": "unlink an address",
    "membership.cancel_now": "cancel the membership now",
    "membership.cancel_at_period_end": "cancel the membership at the end of its period",
    "membership.uncancel": "take the cancellation of the membership back",
}
# What a provider's code means to whoever has to do something about it.
MEANINGS = {
    "no_available_users_found_error": "nobody is free there at that time",
    "provider_unavailable": "it did not answer or had an error of its own",
    "outcome_unknown": "no answer came",
    "http_401": "it does not accept our key",
    "http_403": "our key does not allow this",
    "http_404": "what this is about is not there any more",
    "not_there": "it does not know this membership any more",
    "not_done": "it was asked, and it had not done it",
    "account_gone": "it does not know this account any more",
    "address_gone": "the account does not have this address there any more",
    "address_unverified": "the address is not verified there",
    "address_is_primary": "the address is the primary one there",
    "address_is_linked": "the address comes from a connected account there",
    "last_address": "the account has no other verified address there",
    "form_identifier_exists": "another account has this address there",
    "form_param_format_invalid": "it does not take this for an address",
    "over_there": "it is over there, and not brought back",
    "http_429": "too many requests in a short time",
}
# What became of a mail that did not simply go out.
MAIL_WORDS = {
    "queued": "is about to go to",
    "sending": "is on its way to",
    "failed": "could not be sent to",
    "unknown": "may have gone to",
    "superseded": "was overtaken before it went to",
    "settled": "may not have gone to",
}
NAMES = {"stripe": "Stripe", "workos": "WorkOS", "calendly": "Calendly", "calcom": "Cal.com", "whop": "Whop"}


def provider_name(name: str) -> str:
    """A provider's name as it writes itself; one that is not known is capitalized."""
    return NAMES.get(name, name.capitalize())


def why(error_code: str | None) -> str:
    """A call's error in words, with the provider's code behind it; a code that has no words here speaks for itself."""
    code = error_code or "no reason given"
    meaning = MEANINGS.get(code)
    return f"{meaning} ({code})" if meaning else code.replace("_", " ")


def words_for(event: str, facts: Mapping[str, Any], who: str) -> str:
    """The sentence of an entry in the story of its own record; the audit's where there is no shorter one."""
    words = WORDS.get(event) or WORDS.get(f"{event}.{facts.get('state')}")
    if words is None:
        return audit.sentence(event, who or "Backdesk", facts)
    said = dict(facts)
    if "because" in facts:
        said["because"] = str(facts["because"]).replace("_", " ")
    if "provider" in facts:
        said["provider"] = provider_name(str(facts["provider"]))
    if "done" in facts:
        said["Done"] = str(facts["done"]).capitalize()
    try:
        return words.format_map(said).rstrip()
    except KeyError:
        return audit.sentence(event, who or "Backdesk", facts)
