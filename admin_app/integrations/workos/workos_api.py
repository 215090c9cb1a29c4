"""WorkOS through its SDK: guests as users with an organization of their own, codes by mail, access tokens.

The SDK's own retries are off: it would wait as long as WorkOS asks for, and send a magic code twice. What certainly
did nothing is tried again by our transport; whether a change without an answer was made, the caller must find out.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol, TypeVar

from workos import NOT_GIVEN, WorkOSClient
from workos._errors import (
    APIError,
    AuthenticationFlowError,
    OrganizationSelectionRequiredError,
    WorkOSError,
)

from admin_app.addresses import comparable, in_letters
from admin_app.config import Settings
from admin_app.errors import Forbidden, NotSignedIn, OutcomeUnknown, ProviderRefused, ProviderUnavailable
from admin_app.integrations.guest_ports import GuestSession, WorkosPort, WorkosUser
from admin_app.integrations.http import fields, transport
from admin_app.integrations.http.guard import WEB, Guard, Limits
from admin_app.integrations.http.signed_tokens import JwksKeys, SignedTokens
from admin_app.integrations.http.transport import Patience, Rules

_PROVIDER = "workos"
_TWICE = Patience(tries=2, seconds=12, seconds_per_try=10)
# The SDK makes an empty list of an answer that is none, and nobody by that address is not what was said.
RULES = Rules(reads=_TWICE, writes=_TWICE, answers_are_json=True)
_ALREADY_A_MEMBER = frozenset({"organization_membership_already_exists", "entity_already_exists"})
_NOT_THIS_CODE = frozenset(
    {
        "invalid_one_time_code",
        "one_time_code_previously_used",
        "one_time_code_expired",
        "one_time_code_too_many_attempts",
        "invalid_credentials",
        "invalid_grant",
        "entity_not_found",
        "user_not_found",
    }
)
Answer = TypeVar("Answer")


class _Person(Protocol):
    """What the SDK's several user classes have in common."""

    id: str
    email: str
    first_name: str | None
    last_name: str | None


def client(settings: Settings, limits: Limits = WEB) -> WorkosPort:
    """WorkOS as configured."""
    keys = JwksKeys(_PROVIDER, f"{settings.workos_api_base}/sso/jwks/{settings.workos_client_id}", limits=limits)
    return WorkosApi(
        settings.workos_api_key,
        settings.workos_client_id,
        settings.workos_api_base,
        SignedTokens(settings.workos_issuers, keys),
        Guard(_PROVIDER, limits),
    )


class WorkosApi:
    """`WorkosPort` over HTTP."""

    def __init__(
        self,
        api_key: str,
        client_id: str,
        api_base: str,
        tokens: SignedTokens,
        guard: Guard,
        rules: Rules | None = None,
    ) -> None:
        self._tokens = tokens
        self._sdk = WorkOSClient(
            api_key=api_key,
            client_id=client_id,
            base_url=api_base,
            max_retries=0,
            http_client=transport.client(guard, api_base, rules or RULES),
        )

    def find_user(self, email: str) -> WorkosUser | None:
        page = _read(lambda: self._sdk.user_management.list_users(email=email, limit=100))
        found = (user for user in page.data if comparable(user.email) == comparable(email))
        return next(map(_user, found), None)

    def create_user(self, email: str, name: str, *, verified: bool = False, idempotency_key: str) -> WorkosUser:
        first, _, last = name.partition(" ")
        try:
            return _user(
                _change(
                    lambda: self._sdk.user_management.create_user(
                        email=email,
                        first_name=first or None,
                        last_name=last or None,
                        email_verified=True if verified else NOT_GIVEN,
                        request_options={"idempotency_key": idempotency_key},
                    )
                )
            )
        except ProviderRefused as refused:
            known = self.find_user(email) if refused.reason == "email_not_available" else None
            if known is None:
                raise
            return known

    def find_organization(self, user_id: str) -> str | None:
        try:
            found = _read(lambda: self._sdk.organizations.get_organization_by_external_id(_personal(user_id)))
        except ProviderRefused as refused:
            if refused.reason in {"entity_not_found", "http_404"}:
                return None
            raise
        return str(found.id)

    def ensure_organization(self, user_id: str, *, idempotency_key: str) -> str:
        if found := self.find_organization(user_id):
            return found
        try:
            made = _change(
                lambda: self._sdk.organizations.create_organization(
                    name=_personal(user_id),
                    external_id=_personal(user_id),
                    request_options={"idempotency_key": idempotency_key},
                )
            )
        except ProviderRefused as refused:
            found = self.find_organization(user_id) if refused.reason == "external_id_already_used" else None
            if found is None:
                raise
            return found
        return str(made.id)

    def ensure_membership(self, user_id: str, organization_id: str, *, idempotency_key: str) -> None:
        try:
            _change(
                lambda: self._sdk.organization_membership.create_organization_membership(
                    user_id=user_id,
                    organization_id=organization_id,
                    request_options={"idempotency_key": idempotency_key},
                )
            )
        except ProviderRefused as refused:
            if refused.reason not in _ALREADY_A_MEMBER:
                raise

    def send_magic_code(self, email: str) -> None:
        _change(lambda: self._sdk.user_management.create_magic_auth(email=email))

    def authenticate(self, email: str, code: str) -> GuestSession:
        answer = self._signed_in(email, code)
        claims = self._tokens.claims(answer.access_token)
        return GuestSession(
            access_token=answer.access_token,
            expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
            user=_user(answer.user),
            organization_id=fields.text(answer.organization_id),
        )

    def _signed_in(self, email: str, code: str) -> Any:
        users = self._sdk.user_management
        try:
            return _change(lambda: users.authenticate_with_magic_auth(code=code, email=email))
        except _AnotherStep as step:
            if not isinstance(step.error, OrganizationSelectionRequiredError):
                raise Forbidden(
                    "This address signs in another way. Use the sign-in of your organization.",
                    code="signs_in_otherwise",
                ) from None
            chosen = self.find_organization(str(fields.mapping(step.error.user).get("id")))
            token = step.error.pending_authentication_token
        except ProviderRefused as refused:
            if refused.reason in _NOT_THIS_CODE:
                raise NotSignedIn("This code is wrong, used or too old. Ask for a new one.") from None
            raise
        if chosen is None or token is None:
            raise SignsInOtherwise
        return _change(
            lambda: users.authenticate_with_organization_selection(
                pending_authentication_token=token, organization_id=chosen
            )
        )

    def verify_access_token(self, token: str) -> str:
        user_id = fields.text(self._tokens.claims(token)["sub"])
        if user_id is None:
            raise NotSignedIn
        return user_id


class SignsInOtherwise(Forbidden):
    """The address belongs to an organization with a sign-in of its own."""

    code = "signs_in_otherwise"
    sentence = "This address signs in another way. Use the sign-in of your organization."


class _AnotherStep(Exception):
    """WorkOS wants more than the code."""

    def __init__(self, error: AuthenticationFlowError) -> None:
        self.error = error


def _personal(user_id: str) -> str:
    return f"user-{user_id}"


def _user(person: _Person) -> WorkosUser:
    names = filter(None, map(fields.text, (person.first_name, person.last_name)))
    return WorkosUser(id=person.id, email=in_letters(person.email), name=" ".join(names) or None)


def _read(call: Callable[[], Answer]) -> Answer:
    return _call(call, unreadable=ProviderUnavailable(_PROVIDER))


def _change(call: Callable[[], Answer]) -> Answer:
    return _call(call, unreadable=OutcomeUnknown(_PROVIDER))


def _call(call: Callable[[], Answer], *, unreadable: ProviderUnavailable) -> Answer:
    """The answer in WorkOS's shape; `unreadable` is raised for one that is not: it may have acted."""
    try:
        answer = call()
    except AuthenticationFlowError as step:
        raise _AnotherStep(step) from None
    except APIError as refused:
        _refuse(refused)
    except (WorkOSError, AttributeError, TypeError, ValueError, LookupError):
        raise unreadable from None
    if answer is None:
        raise unreadable
    return answer


def _refuse(error: APIError) -> NoReturn:
    """The most telling of the codes: `errors` says what `code` only sums up."""
    first = error.errors[0] if isinstance(error.errors, list) and error.errors else None
    inner = fields.text(fields.mapping(first).get("code"))
    raise ProviderRefused(
        _PROVIDER, inner or fields.text(error.code) or fields.text(error.error) or f"http_{error.status_code}"
    ) from None
