"""What the product asks of WorkOS, in its own words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class WorkosUser:
    """A guest as WorkOS has them."""

    id: str
    email: str
    name: str | None


@dataclass(frozen=True)
class GuestSession:
    """What a magic code was exchanged for; the token is the bearer's and must not be kept or logged."""

    access_token: str
    expires_at: datetime
    user: WorkosUser
    organization_id: str | None


class WorkosPort(Protocol):
    """Raises ProviderRefused for a clear no, ProviderUnavailable when certainly nothing happened, and
    OutcomeUnknown when the call may have had its effect although no answer came."""

    def find_user(self, email: str) -> WorkosUser | None: ...

    def create_user(self, email: str, name: str, *, verified: bool = False, idempotency_key: str) -> WorkosUser:
        """Somebody new; when WorkOS says that the address is taken, the one who has it.

        `verified`: that the address is theirs is known, and WorkOS need not ask them.
        """

    def find_organization(self, user_id: str) -> str | None:
        """The id of the personal organization `user-{user_id}`, if there is one."""

    def ensure_organization(self, user_id: str, *, idempotency_key: str) -> str:
        """The id of the personal organization `user-{user_id}`, found by its external id or created."""

    def ensure_membership(self, user_id: str, organization_id: str, *, idempotency_key: str) -> None:
        """The user is a member; being one already is no error."""

    def send_magic_code(self, email: str) -> None:
        """WorkOS mails a code. It creates unknown people, so only ask for known ones."""

    def authenticate(self, email: str, code: str) -> GuestSession:
        """Raises NotSignedIn for a code that is wrong, used or too old, Forbidden for people who sign in otherwise.

        Who belongs to several organizations is signed in to the personal one.
        """

    def verify_access_token(self, token: str) -> str:
        """The WorkOS user id behind a guest's access token; raises NotSignedIn, or ProviderUnavailable without keys."""
