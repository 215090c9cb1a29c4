"""The one family of errors that people may read.

Every refusal in the product is a `DomainError`: a stable `code` for programs, a sentence for people that says
what happened and what to do, and the HTTP status that fits. The doors render it in their own manner
(console: a page, public endpoints: an RFC 9457 problem). Anything else that escapes is a bug and is shown
as a reference only.
"""

import math
from collections.abc import Mapping


class DomainError(Exception):
    """A refusal with a stable code, a sentence and a status."""

    code = "refused"
    status = 400
    sentence = "That could not be done."
    # Seconds after which trying again may help, where that is known.
    retry_after: int | None = None

    def __init__(
        self, sentence: str | None = None, *, code: str | None = None, fields: Mapping[str, str] | None = None
    ) -> None:
        self.sentence = sentence or type(self).sentence
        self.code = code or type(self).code
        self.fields = dict(fields or {})
        super().__init__(self.code)


class InvalidInput(DomainError):
    """The input itself is wrong; `fields` maps a field's name to its own sentence."""

    code = "invalid_input"
    status = 422
    sentence = "Something in the form is not right. Correct the marked fields and send it again."


class AlreadySo(InvalidInput):
    """What was asked for holds already; nothing was changed."""

    code = "already_so"
    sentence = "It is so already, so nothing was changed."


class NotFound(DomainError):
    """No such record, or none that the caller may see: 404. Raised before anything is written; do not try again."""

    code = "not_found"
    status = 404
    sentence = "There is nothing under this address. It may have been deleted."


class Forbidden(DomainError):
    """The caller is known and may not do this: 403. Permissions have to change first; trying again does not help."""

    code = "forbidden"
    status = 403
    sentence = "Your role does not allow this. Ask an administrator if you need it."


class NotSignedIn(DomainError):
    """Nobody is signed in, or the session or key has ended: 401. Sign in, or send a valid key, and ask again."""

    code = "not_signed_in"
    status = 401
    sentence = "Sign in first: the session is missing or has ended."


class Conflict(DomainError):
    """The record's present state, or a later version of it, stands against this: 409. Read it anew, then decide."""

    code = "conflict"
    status = 409
    sentence = "Someone changed this meanwhile. Look at the current state and decide again."


class PlanMoved(Conflict):
    """The act found something else than the plan that was shown."""

    code = "plan_moved"
    sentence = "Something changed since this plan was shown, so nothing was done. Here is the plan as it stands now."


class PendingProfileNotFound(NotFound):
    """No purchase fits the claim: 404. Ask for the address that was used at the shop."""

    code = "pending_profile_not_found"
    sentence = "There is no purchase waiting under this e-mail address."


class AlreadyClaimed(Conflict):
    """Another account holds the purchase: 409. Final for this caller; only staff can undo the other claim."""

    code = "already_claimed"
    sentence = "This purchase was already claimed by another account."


class InvalidToken(Forbidden):
    """The claim link is unknown, used, replaced or too old: 403. Have a new one mailed."""

    code = "invalid_token"
    sentence = "This claim link is not valid any more. Ask for a new one."


class EmailNotVerified(Forbidden):
    """The purchase's address is not among the caller's verified ones: 403. Verify it, or claim by the mailed link."""

    code = "email_not_verified"
    sentence = "Verify this e-mail address first, or use the link from the claim mail."


class UndoBlocked(Conflict):
    """The undo's plan has a refusal, which is the sentence: 409. Undo what came later first."""

    code = "undo_blocked"
    sentence = "This cannot be undone because something later depends on it."


class ForeignMode(DomainError):
    """A Stripe event of live mode met a test key, or the other way round: 400. The endpoint or the key is set wrong."""

    code = "foreign_mode"
    sentence = "The event is of another mode, live or test, than the key of this server. Nothing was taken from it."


class TooManyAttempts(DomainError):
    """A rate limit is reached: 429. Wait; `retry_after`, where it is set, says for how many seconds."""

    code = "too_many_attempts"
    status = 429
    sentence = "Too many attempts. Wait a few minutes and try again."


class BadSignature(DomainError):
    """The delivery is not signed with our secret, or not within the tolerated time: 400. Nothing is stored, and the
    provider may send it again.
    """

    code = "bad_signature"
    status = 400
    sentence = "The signature does not match the body, or it is too old."


class MalformedEvent(DomainError):
    """A signed delivery whose body cannot be read as an event: 400. The same body is refused each time."""

    code = "malformed_event"
    status = 400
    sentence = "The body is not an event that can be read."


class ProviderUnavailable(DomainError):
    """A provider did not answer, or not in a way that can be used. `retry_after` is when to come again, in seconds."""

    code = "provider_unavailable"
    status = 503
    retry_after = 30

    def __init__(
        self, provider: str = "provider", sentence: str | None = None, *, retry_after: float | None = None
    ) -> None:
        self.provider = provider
        if retry_after is not None:
            self.retry_after = max(1, math.ceil(retry_after))
        super().__init__(sentence or f"{provider.capitalize()} does not answer at the moment. Try again in a minute.")


class AnswerUnreadable(ProviderUnavailable):
    """The provider answered, and one object of its answer lacks what matters: that is about this object alone."""

    code = "answer_unreadable"

    def __init__(self, provider: str = "provider") -> None:
        super().__init__(provider, f"What {provider.capitalize()} says of this cannot be read. Look at it there.")


class OutcomeUnknown(ProviderUnavailable):
    """The call left and may have had its effect, but no answer came: ask before trying again."""

    code = "outcome_unknown"

    def __init__(self, provider: str = "provider", *, retry_after: float | None = None) -> None:
        super().__init__(
            provider,
            f"{provider.capitalize()} did not say whether it was done. It is being asked.",
            retry_after=retry_after,
        )


class ProviderRefused(DomainError):
    """A provider said no, and why. `reason` is its own stable code.

    Asking again the same way does not help, except where `passing` says that it was about who asks and not about what
    was asked for: once a key is put right, the same is taken.
    """

    code = "provider_refused"
    status = 502

    def __init__(self, provider: str, reason: str, *, passing: bool = False) -> None:
        self.provider, self.reason, self.passing = provider, reason, passing
        super().__init__(f"{provider.capitalize()} refused this ({reason}). Nothing was changed there.")


class SlotTaken(Conflict):
    """Another appointment or hold has the time, as the database's constraint tells: 409. Offer the free times anew."""

    code = "slot_taken"
    sentence = "This time is not free any more. Choose another one."


class GuestUserCreationError(DomainError):
    """WorkOS did not register the guest whom a meeting needs: 502, and nothing was booked. The code's capitals are part
    of the public contract.
    """

    code = "GUEST_USER_CREATION_ERROR"
    status = 502
    sentence = "The guest could not be registered, so nothing was booked. Try again in a minute."


class NotRefundable(Conflict):
    """The payment's state or what is left of it allows no such refund; the sentence says why: 409."""

    code = "not_refundable"
    sentence = "This cannot be refunded."
