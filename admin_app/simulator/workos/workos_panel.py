"""Controls of the simulated WorkOS under /_sim/workos: people who were there before, codes, counts."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator.workos import workos_people, workos_sign_in
from admin_app.simulator.world import Refused, World, text


def controls(routes: Blueprint, world: World) -> None:
    @routes.post("/workos/users")
    def create_user() -> Response:
        """Somebody whom WorkOS knew before; with `organization`, in a team of this name."""
        wanted = _wanted()
        user = workos_people.create_user(world, wanted)
        if user is None:
            raise Refused("Somebody has this address.")
        if name := text(wanted, "organization"):
            team = workos_people.create_organization(world, {"name": name})
            assert team is not None
            workos_people.create_membership(world, user, team)
        return jsonify(workos_people.user_answer(user))

    @routes.post("/workos/guests")
    def seed_guests() -> Response:
        wanted = request.get_json(silent=True)
        if not isinstance(wanted, list) or not all(isinstance(item, dict) for item in wanted):
            raise Refused("A list of objects is needed.")
        return jsonify({"seeded": workos_people.seed(world, wanted)})

    @routes.post("/workos/users/<user_id>/delete")
    def delete_user(user_id: str) -> Response:
        for membership in workos_people.memberships_of(world, user_id):
            world.store.delete(workos_people.MEMBERSHIP, membership["id"])
        world.store.delete(workos_people.USER, user_id)
        return jsonify({"deleted": True})

    @routes.get("/workos/state")
    def state() -> Response:
        kinds = {
            "users": workos_people.USER,
            "organizations": workos_people.ORGANIZATION,
            "memberships": workos_people.MEMBERSHIP,
            "codes": workos_sign_in.CODE,
        }
        return jsonify({name: world.store.all(kind) for name, kind in kinds.items()})

    @routes.post("/workos/tokens")
    def issue() -> Response:
        wanted = _wanted()
        ttl = wanted.get("ttl", workos_sign_in.TOKEN_SECONDS)
        if not isinstance(ttl, int):
            raise Refused("ttl must be a whole number.")
        return jsonify(
            {"token": workos_sign_in.token(world, text(wanted, "user_id") or "", ttl=ttl, iss=text(wanted, "issuer"))}
        )


def _wanted() -> dict[str, Any]:
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}
