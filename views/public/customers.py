"""Which customer a request speaks for, proved by the sign-in provider and read before any transaction."""

from admin_app.context import Customer
from admin_app.errors import NotFound, NotSignedIn
from admin_app.integrations.ports import ClerkPort
from admin_app.services.people.users import customer_of
from views.backdesk import backdesk

_LONGEST_TOKEN = 20_000


class SignInNotConfigured(NotFound):
    code = "sign_in_not_configured"
    sentence = "Customers cannot sign in here: no sign-in provider is configured."


def clerk() -> ClerkPort:
    """The sign-in provider; its doors are closed where none is configured."""
    provider: ClerkPort | None = backdesk().providers.clerk
    if provider is None:
        raise SignInNotConfigured
    return provider


def bearer_token(header: str) -> str:
    """The token of an Authorization header."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST_TOKEN:
        raise NotSignedIn
    return token.strip()


def customer(user_id: str, *, fresh: bool) -> Customer:
    """The customer with the addresses that the provider says are verified."""
    return customer_of(clerk().user(user_id, fresh=fresh))
