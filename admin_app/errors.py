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
    code = "not_found"
    status = 404
    sentence = "There is nothing under this address. It may have been deleted."


class Forbidden(DomainError):
    code = "forbidden"
    status = 403
    sentence = "Your role does not allow this. Ask an administrator if you need it."


class NotSignedIn(DomainError):
    code = "not_signed_in"
    status = 401
    sentence = "Sign in first: the session is missing or has ended."


class Conflict(DomainError):
    code = "conflict"
    status = 409
    sentence = "Someone changed this meanwhile. Look at the current state and decide again."


class PlanMoved(Conflict):
    """The act found something else than the plan that was shown."""

    code = "plan_moved"
    sentence = "Something changed since this plan was shown, so nothing was done. Here is the plan as it stands now."


class PendingProfileNotFound(NotFound):
    code = "pending_profile_not_found"
    sentence = "There is no purchase waiting under this e-mail address."


class AlreadyClaimed(Conflict):
    code = "already_claimed"
    sentence = "This purchase was already claimed by another account."


class InvalidToken(Forbidden):
    code = "invalid_token"
    sentence = "This claim link is not valid any more. Ask for a new one."


class EmailNotVerified(Forbidden):
    code = "email_not_verified"
    sentence = "Verify this e-mail address first, or use the link from the claim mail."


class UndoBlocked(Conflict):
    code = "undo_blocked"
    sentence = "This cannot be undone because something later depends on it."


class ForeignMode(DomainError):
    code = "foreign_mode"
    sentence = "The event is of another mode, live or test, than the key of this server. Nothing was taken from it."


class TooManyAttempts(DomainError):
    code = "too_many_attempts"
    status = 429
    sentence = "Too many attempts. Wait a few minutes and try again."


class BadSignature(DomainError):
    code = "bad_signature"
    status = 400
    sentence = "The signature does not match the body, or it is too old."


class MalformedEvent(DomainError):
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
    code = "slot_taken"
    sentence = "This time is not free any more. Choose another one."


class GuestUserCreationError(DomainError):
    code = "GUEST_USER_CREATION_ERROR"
    status = 502
    sentence = "The guest could not be registered, so nothing was booked. Try again in a minute."


class NotRefundable(Conflict):
    code = "not_refundable"
    sentence = "This cannot be refunded."
