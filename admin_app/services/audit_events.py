"""Every event the audit knows, with the exact facts it carries and the sentence it is shown as.

A wrong event name or a missing or unknown fact fails loudly when the entry is written.
In a sentence `{actor}` is the one who acted; the other names are facts.
"""

from dataclasses import dataclass, field
from string import Formatter


@dataclass(frozen=True)
class EventKind:
    sentence: str
    more: frozenset[str] = field(default_factory=frozenset)

    @property
    def facts(self) -> frozenset[str]:
        named = {name for _, name, _, _ in Formatter().parse(self.sentence) if name and name != "actor"}
        return frozenset(named) | self.more


SESSIONS = frozenset({"sessions_ended"})

EVENTS: dict[str, EventKind] = {
    # purchases
    "purchase.received": EventKind("{actor} brought in the purchase of {email}"),
    "purchase.updated": EventKind("{actor} updated the purchase of {email}"),
    "purchase.credited": EventKind("{actor} put a purchase on profile {user_id}"),
    "purchase.ended": EventKind("{actor} ended the membership {membership_id}"),
    "purchase.cancellation": EventKind("{actor} set the cancellation of membership {membership_id}"),
    "purchase.claimed": EventKind(
        "{actor} claimed the purchase of {email} for {owner}", frozenset({"user_id", "outcome"})
    ),
    "purchase.put_aside": EventKind("{actor} set the membership {membership_id} of {email} aside for another one"),
    "purchase.extra": EventKind("{actor} noted an extra purchase of {user_id}, who is already pro"),
    "purchase.extra_resolved": EventKind("{actor} settled the extra purchase of {user_id}: {resolution}"),
    "purchase.undone": EventKind("{actor} undid the claim of {email} for {owner}", frozenset({"user_id"})),
    "purchase.email_corrected": EventKind("{actor} corrected the e-mail of the purchase from {before} to {after}"),
    "purchase.deleted": EventKind("{actor} deleted the purchase of {email}", frozenset({"membership_id"})),
    "purchase.mail_requested": EventKind("{actor} had a claim mail sent for the purchase of {email}"),
    "purchase.mail_sent": EventKind("{actor} handed over a claim mail for the purchase of {email}"),
    "purchase.legacy_adopted": EventKind("{actor} moved the legacy row {legacy_user_id} to the waiting purchases"),
    # profiles
    "profile.email_known": EventKind("{actor} gave profile {user_id} its verified address"),
    "profile.created": EventKind("{actor} made the profile {user_id} at sign-in"),
    # inbox
    "inbox.parked": EventKind("{actor} parked a {provider} event: {because}"),
    "inbox.email_attached": EventKind("{actor} attached {email} to a parked event and released it"),
    "inbox.released": EventKind("{actor} released a parked or failed event"),
    "reconcile.finished": EventKind(
        "{actor} compared {seen} memberships with {provider}: {brought_in} brought in, {updated} updated"
    ),
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
