"""WorkOS under /workos: users, organizations, memberships, magic codes, authentication, published keys."""

import hmac
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator.store import Document
from admin_app.simulator.workos import workos_people, workos_sign_in
from admin_app.simulator.workos.workos_sign_in import SignInRefused
from admin_app.simulator.world import Refused, World

_CODE_GRANT = "urn:workos:oauth:grant-type:magic-auth:code"
_CHOICE_GRANT = "urn:workos:oauth:grant-type:organization-selection"
_MOST_LISTED = 100


class _Failed(Exception):
    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        self.status, self.body = status, {"code": code, "message": message, **more}


def blueprint(world: World) -> Blueprint:
    routes = Blueprint("workos", __name__, url_prefix="/workos")
    _guarded(routes, world)
    _users(routes, world)
    _organizations(routes, world)
    _sign_in(routes, world)
    return routes


def _guarded(routes: Blueprint, world: World) -> None:
    """The API key, the faults that are switched on, and errors in WorkOS's form."""

    @routes.errorhandler(_Failed)
    def failed(error: _Failed) -> tuple[Response, int]:
        return jsonify(error.body), error.status

    @routes.errorhandler(Refused)
    def refused(error: Refused) -> tuple[Response, int]:
        return jsonify({"code": "invalid_request_parameters", "message": str(error)}), 422

    @routes.errorhandler(SignInRefused)
    def not_signed_in(error: SignInRefused) -> tuple[Response, int]:
        return jsonify({"code": error.code, "message": "Request could not be processed.", **error.more}), error.status

    @routes.before_request
    def guard() -> Response | None:
        # Authentication has the key in its body, the published keys are for everybody.
        if not request.path.startswith(("/workos/sso/", "/workos/user_management/authenticate")):
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            _require_key(world, given)
        return world.faults.before("workos", request)

    @routes.after_request
    def leave(response: Response) -> Response:
        return world.faults.after(request, response)


def _require_key(world: World, given: str) -> None:
    wanted = world.settings.workos_api_key
    if not wanted or not hmac.compare_digest(wanted.encode(), given.encode()):
        raise _Failed(401, "unauthorized", "Could not authorize the request. Maybe your API key is invalid?")


def _users(routes: Blueprint, world: World) -> None:
    @routes.get("/user_management/users")
    def users() -> Response:
        email, organization = request.args.get("email", "").lower(), request.args.get("organization_id")
        found = [user for user in world.store.all(workos_people.USER) if not email or user["email"] == email]
        if organization:
            members = {
                membership["user_id"]
                for membership in world.store.all(workos_people.MEMBERSHIP)
                if membership["organization_id"] == organization
            }
            found = [user for user in found if user["id"] in members]
        return _listed(found, workos_people.user_answer)

    @routes.post("/user_management/users")
    def create_user() -> tuple[Response, int]:
        user = workos_people.create_user(world, _body())
        if user is None:
            taken = {"code": "email_not_available", "message": "This email is not available."}
            raise _Failed(400, "user_creation_error", "Could not create user.", errors=[taken])
        return jsonify(workos_people.user_answer(user)), 201

    @routes.get("/user_management/users/<user_id>")
    def user(user_id: str) -> Response:
        return jsonify(workos_people.user_answer(_known(world, workos_people.USER, user_id, "User")))


def _organizations(routes: Blueprint, world: World) -> None:
    @routes.post("/organizations")
    def create_organization() -> tuple[Response, int]:
        organization = workos_people.create_organization(world, _body())
        if organization is None:
            raise _Failed(400, "external_id_already_used", "The external_id is already used by another organization.")
        return jsonify(workos_people.organization_answer(organization)), 201

    @routes.get("/organizations/<organization_id>")
    def organization(organization_id: str) -> Response:
        found = _known(world, workos_people.ORGANIZATION, organization_id, "Organization")
        return jsonify(workos_people.organization_answer(found))

    @routes.get("/organizations/external_id/<external_id>")
    def by_external_id(external_id: str) -> Response:
        found = workos_people.organization_by_external_id(world, external_id)
        if found is None:
            raise _not_found("Organization", external_id)
        return jsonify(workos_people.organization_answer(found))

    @routes.post("/user_management/organization_memberships")
    def create_membership() -> tuple[Response, int]:
        body = _body()
        user = _known(world, workos_people.USER, str(body.get("user_id")), "User")
        organization = _known(world, workos_people.ORGANIZATION, str(body.get("organization_id")), "Organization")
        made = workos_people.create_membership(world, user, organization)
        if made is None:
            raise _Failed(
                400, "organization_membership_already_exists", "The user is already a member of the organization."
            )
        return jsonify(workos_people.membership_answer(world, made)), 201

    @routes.get("/user_management/organization_memberships")
    def memberships() -> Response:
        wanted = {name: request.args[name] for name in ("user_id", "organization_id") if request.args.get(name)}
        found = [
            membership
            for membership in world.store.all(workos_people.MEMBERSHIP)
            if all(membership[name] == value for name, value in wanted.items())
        ]
        return _listed(found, lambda membership: workos_people.membership_answer(world, membership))


def _sign_in(routes: Blueprint, world: World) -> None:
    @routes.post("/user_management/magic_auth")
    def magic_auth() -> tuple[Response, int]:
        email = _body().get("email")
        if not isinstance(email, str) or "@" not in email:
            raise Refused("email must be an email address.")
        code = workos_sign_in.send_code(world, email)
        shown = {name: value for name, value in code.items() if name not in {"used", "tries"}}
        return jsonify({"object": "magic_auth", **shown}), 201

    @routes.post("/user_management/authenticate")
    def authenticate() -> Response:
        body = _body()
        if body.get("client_id") != world.settings.workos_client_id:
            return _oauth_failure("invalid_client")
        _require_key(world, str(body.get("client_secret", "")))
        if body.get("grant_type") == _CODE_GRANT:
            return jsonify(workos_sign_in.by_code(world, str(body.get("email", "")), str(body.get("code", ""))))
        if body.get("grant_type") == _CHOICE_GRANT:
            token, organization = body.get("pending_authentication_token"), body.get("organization_id")
            return jsonify(workos_sign_in.by_choice(world, str(token), str(organization)))
        return _oauth_failure("unsupported_grant_type")

    @routes.get("/sso/jwks/<client_id>")
    def jwks(client_id: str) -> Response:
        if client_id != world.settings.workos_client_id:
            raise _not_found("Client", client_id)
        return jsonify(workos_sign_in.jwks(world))


def _oauth_failure(error: str) -> Response:
    answer = jsonify({"error": error, "error_description": f"The request failed due to: {error}."})
    answer.status_code = 400
    return answer


def _known(world: World, kind: str, identity: str, name: str) -> Document:
    found = world.store.get(kind, identity)
    if found is None:
        raise _not_found(name, identity)
    return found


def _not_found(name: str, identity: str) -> _Failed:
    return _Failed(404, "entity_not_found", f"{name} not found: '{identity}'.", entity_id=identity)


def _listed(found: list[Document], shape: Callable[[Document], dict[str, Any]]) -> Response:
    """One page of a list, newest first."""
    limit = request.args.get("limit", "10")
    if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_LISTED:
        raise Refused(f"limit must be between 1 and {_MOST_LISTED}.")
    newest, after = found[::-1], request.args.get("after")
    if after:
        places = [place for place, document in enumerate(newest) if document["id"] == after]
        newest = newest[places[0] + 1 :] if places else []
    page = newest[: int(limit)]
    following = page[-1]["id"] if len(newest) > len(page) else None
    return jsonify(
        {"object": "list", "data": list(map(shape, page)), "list_metadata": {"before": None, "after": following}}
    )


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Refused("The body must be a JSON object.")
    return body
