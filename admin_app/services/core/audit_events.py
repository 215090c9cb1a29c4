"""Every event the audit knows, with the exact facts it carries and the sentence it is shown as.

A wrong event name or a missing or unknown fact fails loudly when the entry is written.
In a sentence `{actor}` is the one who acted; the other names are facts.
"""

from dataclasses import dataclass, field
from string import Formatter


@dataclass(frozen=True)
class EventKind:
    """One kind of event: the sentence it is shown as, and the facts (`more`) that it carries beside those in it."""

    sentence: str
    more: frozenset[str] = field(default_factory=frozenset)

    @property
    def facts(self) -> frozenset[str]:
        named = {name for _, name, _, _ in Formatter().parse(self.sentence) if name and name != "actor"}
        return frozenset(named) | self.more


SESSIONS = frozenset({"sessions_ended"})
IN_ZONE = frozenset({"time_zone"})
IN_ZONE_ROWS = IN_ZONE | {"rows"}

EVENTS: dict[str, EventKind] = {
    # purchases
    "purchase.received": EventKind("{actor} brought in the purchase of {email}"),
    "purchase.updated": EventKind("{actor} updated the purchase of {email}"),
    "purchase.credited": EventKind("{actor} updated the membership of {user_id}"),
    "purchase.ignored": EventKind("{actor} noted news of the membership {membership_id}, which makes nobody pro"),
    "purchase.ended": EventKind("{actor} ended the membership {membership_id}"),
    "purchase.cancellation": EventKind("{actor} set the cancellation of membership {membership_id}"),
    "purchase.claimed": EventKind(
        "{actor} claimed the purchase of {email} for {owner}", frozenset({"user_id", "outcome"})
    ),
    # as it was told before each membership had a row
    "purchase.put_aside": EventKind("{actor} set the membership {membership_id} of {email} aside for another one"),
    "purchase.extra": EventKind("{actor} noted an extra purchase of {user_id}, who is already pro"),
    "purchase.extra_resolved": EventKind("{actor} settled the extra purchase of {user_id}: {resolution}"),
    "purchase.let_go": EventKind("{actor} let the purchase of {email} wait again: account {user_id} was deleted"),
    "purchase.undone": EventKind("{actor} undid the claim of {email} for {owner}", frozenset({"user_id"})),
    "purchase.email_corrected": EventKind("{actor} corrected the e-mail of the purchase from {before} to {after}"),
    "purchase.deleted": EventKind("{actor} deleted the purchase of {email}", frozenset({"membership_id"})),
    "purchase.mail_requested": EventKind("{actor} had a claim mail sent for the purchase of {email}"),
    "purchase.mail_sent": EventKind("{actor} handed over a claim mail for the purchase of {email}"),
    "purchase.legacy_adopted": EventKind("{actor} moved the legacy row {legacy_user_id} to the waiting purchases"),
    "membership.cancel_asked": EventKind("{actor} asked {provider} to {wish}: the membership {membership}"),
    "membership.moved": EventKind(
        "{actor} moved the membership {membership} from {former} to {target}", frozenset({"credits", "withheld"})
    ),
    "membership.given": EventKind("{actor} gave {user_id} a complimentary membership", frozenset({"until"})),
    "membership.end_changed": EventKind(
        "{actor} changed the end of the complimentary membership of {user_id}", frozenset({"before", "until"})
    ),
    "membership.ended_by_hand": EventKind("{actor} ended the complimentary membership of {user_id}"),
    "membership.ended_on_time": EventKind(
        "{actor} noted that the complimentary {membership} is over", frozenset({"until"})
    ),
    "membership.paid": EventKind("{actor} noted the payment of {amount} for membership {membership}"),
    "membership.payments_asked": EventKind("{actor} had the provider asked what was paid for membership {membership}"),
    # profiles
    "profile.credits_added": EventKind("{actor} added {credits} credits for {user_id}"),
    "profile.credits_taken": EventKind("{actor} took {credits} credits from {user_id}"),
    "profile.credits_renewed_early": EventKind(
        "{actor} renewed the credits of {user_id} early", frozenset({"credits", "due_at"})
    ),
    "profile.adjustment_undone": EventKind("{actor} undid {what} that {by} made for {user_id}"),
    "profile.email_known": EventKind("{actor} gave profile {user_id} its verified address"),
    "profile.created": EventKind("{actor} made the profile {user_id}"),
    "profile.email_followed": EventKind("{actor} gave profile {user_id} the address that is its primary one now"),
    "profile.account_deleted": EventKind("{actor} noted that account {user_id} was deleted at the sign-in provider"),
    "profile.account_back": EventKind("{actor} found the account {user_id} at the sign-in provider again"),
    "person.address_change_asked": EventKind(
        "{actor} asked Clerk to {wish}: {email}, of {user_id}", frozenset({"verified", "primary", "instead_of"})
    ),
    "person.address_given_up": EventKind("{actor} noted that {user_id} gave up a verified address"),
    # inbox
    "inbox.parked": EventKind("{actor} parked a {provider} event: {because}"),
    "inbox.email_attached": EventKind("{actor} attached {email} to a parked event and released it"),
    "inbox.released": EventKind("{actor} released a parked or failed event"),
    # as comparisons with Whop were noted before there were others
    "reconcile.finished": EventKind(
        "{actor} compared {seen} memberships with {provider}: {brought_in} brought in, {updated} updated"
    ),
    # comparisons
    "drift.requested": EventKind("{actor} started a comparison with {provider}"),
    "drift.compared": EventKind(
        "{actor} compared {compared} objects with {provider}: {repaired} differences repaired, {found} to look at",
        frozenset({"error_code"}),
    ),
    "drift.wanted": EventKind("{actor} decided to {wanted} what differs in {field} at {provider}"),
    "drift.resolved": EventKind("{actor} settled what differed in {field} at {provider}: {outcome}"),
    "drift.ignored": EventKind("{actor} let the difference in {field} at {provider} stand"),
    "drift.assigned": EventKind("{actor} gave the difference in {field} at {provider} to {owner}"),
    # bookings and meetings: `what` is booking or meeting
    "booking.held": EventKind("{actor} held {what} {number} for {email}"),
    "booking.confirmed": EventKind("{actor} confirmed {what} {number}"),
    "booking.canceled": EventKind("{actor} canceled {what} {number}: {because}"),
    "booking.rescheduled": EventKind("{actor} moved {what} {number}"),
    "booking.email_corrected": EventKind("{actor} corrected the e-mail of {what} {number}"),
    "booking.completed": EventKind("{actor} marked {what} {number} as completed"),
    "booking.no_show": EventKind("{actor} noted that nobody came to {what} {number}"),
    "booking.refund_returned": EventKind("{actor} noted that the money given back for {what} {number} came back"),
    "booking.refunded": EventKind("{actor} noted that all of the money for {what} {number} went back"),
    "booking.mail_requested": EventKind("{actor} had the {mail} mail of {what} {number} sent again"),
    "booking.mail_sent": EventKind("{actor} handed over the {mail} mail of {what} {number}"),
    "booking.calendar": EventKind("{actor} {done} {what} {number} at {provider}"),
    "booking.joined": EventKind("{actor} found that booking {other} is booking {number}, moved in {provider}"),
    "booking.attendees": EventKind("{actor} noted that {came} joined and {gone} left booking {number} in {provider}"),
    "booking.handed_over": EventKind("{actor} gave {what} {number} from {former} to {practitioner}"),
    "booking.brought_in": EventKind("{actor} brought in booking {number} of {email} from {provider}"),
    # mails and calls that failed
    "mail.resent": EventKind("{actor} had the {mail} mail to {email} sent again"),
    "mail.settled": EventKind("{actor} marked the {mail} mail to {email} as settled"),
    "provider_call.retried": EventKind("{actor} had {operation} at {provider} tried again"),
    "job.retried": EventKind("{actor} had the failed job {task} tried again"),
    "job.settled": EventKind("{actor} marked the failed job {task} as settled"),
    "provider_call.settled": EventKind("{actor} marked {operation} at {provider} as settled"),
    # money
    "payment.paid": EventKind("{actor} noted the payment of {what} {number}"),
    "payment.failed": EventKind("{actor} noted that the payment of {what} {number} failed: {because}"),
    "payment.expired": EventKind("{actor} noted that the checkout of {what} {number} expired"),
    "payment.disputed": EventKind("{actor} noted a dispute about the payment of {what} {number}: {because}"),
    "payment.kept": EventKind("{actor} decided to keep {amount} of the payment for {what} {number}"),
    "refund.requested": EventKind(
        "{actor} asked for a refund of {amount} of {what} {number}", frozenset({"state", "because"})
    ),
    "refund.approved": EventKind("{actor} approved the refund of {amount}"),
    "refund.declined": EventKind("{actor} declined the refund of {amount}"),
    "refund.settled": EventKind("{actor} noted the refund of {amount} as {state}"),
    "refund.asked": EventKind("{actor} had the provider asked about the refund of {amount}"),
    "refund.put_right": EventKind("{actor} put right the refund of {amount} that came back: {how}"),
    "refund.found": EventKind("{actor} found a refund of {amount} that was made at the provider"),
    # billing
    "client.billing_changed": EventKind("{actor} brought the billing of {name} to {status}", frozenset({"cause"})),
    "client.billing_overridden": EventKind(
        "{actor} overrode the billing of {name} with {status}", frozenset({"until"})
    ),
    "client.billing_override_lifted": EventKind("{actor} lifted the override {status} of {name}"),
    "client.billing_override_ended": EventKind("{actor} noted that the override {status} ended"),
    "client.trial_granted": EventKind("{actor} granted {name} a trial", frozenset({"until"})),
    "client.trial_extended": EventKind("{actor} extended the trial of {name}", frozenset({"until"})),
    "client.customer_linked": EventKind("{actor} said that Stripe's customer {customer} is {name}"),
    "client.billing_asked": EventKind("{actor} had Stripe asked about the subscriptions of {name}"),
    "client.billing_answered": EventKind("{actor} heard from Stripe about {name}: {outcome}"),
    "profile.credits_renewed": EventKind(
        "{actor} renewed the credits of {user_id}: {credits}", frozenset({"periods", "due_at"})
    ),
    # closed months
    "month.closed": EventKind("{actor} closed {month} with {lines} lines", frozenset({"digest", "totals"})),
    "month.exported": EventKind("{actor} exported the closed month {month} as {format}", frozenset({"digest"})),
    # clients
    "onboarding.reported": EventKind("{actor} reported how far the onboarding of {name} is"),
    "onboarding.completed_by_hand": EventKind("{actor} completed the onboarding of {name} by hand"),
    "onboarding.reopened": EventKind("{actor} reopened the onboarding of {name}"),
    "service_key.created": EventKind("{actor} made the service key {name} for {scopes}", frozenset({"expires_at"})),
    "service_key.revoked": EventKind("{actor} revoked the service key {name}"),
    # guests
    "guest.registered": EventKind("{actor} registered the guest {email} in WorkOS: {outcome}"),
    "guest.registration_requested": EventKind("{actor} had the guest {email} of meeting {number} registered once more"),
    "guest.resolved": EventKind("{actor} linked {what} {number} to the guest {email}"),
    "guest.organization_known": EventKind("{actor} gave {what} {number} its organization's id at WorkOS"),
    # schedule
    "practitioner.created": EventKind("{actor} added the practitioner {name}"),
    "practitioner.changed": EventKind("{actor} changed the practitioner {name}"),
    "practitioner.activated": EventKind("{actor} put the practitioner {name} back into use"),
    "practitioner.deactivated": EventKind("{actor} took the practitioner {name} out of use"),
    "session_type.created": EventKind("{actor} added the session type {title}"),
    "session_type.changed": EventKind("{actor} changed the session type {title}"),
    "session_type.activated": EventKind("{actor} put the session type {title} back into use"),
    "session_type.deactivated": EventKind("{actor} took the session type {title} out of use"),
    # switches: `switch` is its name, `client` the client's
    "client.switched_on": EventKind("{actor} switched on for {client}: {switch}"),
    "client.switched_off": EventKind("{actor} switched off for {client}: {switch}"),
    "client.switch_scheduled": EventKind("{actor} scheduled for {client}: {switch}"),
    "client.switch_canceled": EventKind("{actor} canceled what was scheduled for {client}: {switch}"),
    "client.switch_started": EventKind("{actor} noted that it began as scheduled for {client}: {switch}"),
    "client.switch_ended": EventKind("{actor} noted that it ended as arranged for {client}: {switch}"),
    "client.switch_told": EventKind("{actor} told {email} before it ends for {client}: {switch}"),
    "everyone.stopped": EventKind("{actor} stopped everyone"),
    "everyone.released": EventKind("{actor} ended the emergency stop"),
    "everyone.stop_ended": EventKind("{actor} noted that the emergency stop ended as arranged"),
    # runs over many clients
    "bulk.chosen": EventKind("{actor} chose {size} clients for a run: {what}"),
    "bulk.started": EventKind("{actor} let a run over {size} clients go: {what}"),
    "bulk.stop_asked": EventKind("{actor} asked a run over {size} clients to stop: {what}"),
    "bulk.stopped": EventKind("{actor} stopped a run over {size} clients with {changed} changed, {left} not: {what}"),
    "bulk.finished": EventKind("{actor} finished a run over {size} clients with {changed} changed, {left} not: {what}"),
    "bulk.discarded": EventKind("{actor} discarded a run over {size} clients before it began: {what}"),
    # earlier systems
    "legacy.imported": EventKind("{actor} brought over {rows} rows of the earlier system {system}"),
    "legacy.undone": EventKind("{actor} took back {rows} rows that were brought over from the earlier system {system}"),
    # exports
    "export.made": EventKind("{actor} exported {rows} rows of {section} as {format}: {filter}", IN_ZONE),
    "export.downloaded": EventKind("{actor} downloaded the export of {section} as {format}: {filter}", IN_ZONE_ROWS),
    # staff
    "staff.created": EventKind("{actor} created the staff account {email} as {role}"),
    "staff.disabled": EventKind("{actor} disabled the staff account {email}", SESSIONS),
    "staff.enabled": EventKind("{actor} enabled the staff account {email}"),
    "staff.role_changed": EventKind("{actor} made {email} {role}", SESSIONS),
    "staff.password_reset": EventKind("{actor} reset the password of {email}", SESSIONS),
    "staff.password_changed": EventKind("{actor} changed their own password", SESSIONS),
    "staff.time_zone_changed": EventKind("{actor} is shown times in {time_zone} from now on"),
    "staff.signed_in": EventKind("{actor} signed in", frozenset({"session_id"})),
    "staff.sign_in_refused": EventKind("{actor} was refused at sign-in as {account}: {because}"),
    "staff.locked": EventKind("{actor} locked the staff account {email} after {failures} failed sign-ins"),
    "staff.signed_out": EventKind("{actor} signed out", frozenset({"session_id"})),
    "staff.session_revoked": EventKind("{actor} ended sessions of {email}: {sessions_ended}"),
}
