"""Clerk session tokens: who is signed in, in which state, and for which origin."""

from admin_app.errors import NotSignedIn
from admin_app.integrations.http import fields
from admin_app.integrations.http.signed_tokens import KeysFor, SignedTokens
from admin_app.integrations.ports import ClerkSession


class SessionTokens:
    """Verifies the session tokens of one issuer."""

    def __init__(self, issuer: str, keys_for: KeysFor, authorized_parties: tuple[str, ...]) -> None:
        # Settings lose a slash at the end; an issuer that really has one is still the same.
        self._tokens = SignedTokens((issuer, f"{issuer}/"), keys_for, "sid", "iat")
        self._authorized_parties = authorized_parties

    def verify(self, token: str) -> ClerkSession:
        claims = self._tokens.claims(token)
        user_id, session_id = fields.text(claims["sub"]), fields.text(claims["sid"])
        if user_id is None or session_id is None:
            raise NotSignedIn
        # A pending session has passed the first factor only.
        if claims.get("sts", "active") != "active":
            raise NotSignedIn
        if self._authorized_parties and claims.get("azp") not in self._authorized_parties:
            raise NotSignedIn
        return ClerkSession(user_id, session_id)
