"""How the simulated Stripe answers calls: keys, errors in its form, single objects and lists page by page."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

from flask import Blueprint, Response, jsonify, request

from admin_app.simulator.store import Document
from admin_app.simulator.stripe import stripe_forms
from admin_app.simulator.stripe import stripe_records as records
from admin_app.simulator.stripe.stripe_records import KINDS
from admin_app.simulator.world import World

_KEY = "stripe_idempotency_key"
_DEFAULT_PAGE, _LARGEST_PAGE = 10, 100
_DEEPEST = 4  # levels of an expansion, the `data` of a list included
_BOUNDS: Mapping[str, Callable[[int, int], bool]] = {
    "gte": lambda value, bound: value >= bound,
    "gt": lambda value, bound: value > bound,
    "lte": lambda value, bound: value <= bound,
    "lt": lambda value, bound: value < bound,
}


class Failed(Exception):
    """`saved` errors come from doing, not from reading, the call: a repeat of its key is told the same."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        saved: bool = False,
    ) -> None:
        self.status, self.saved = status, saved
        stated = {"type": kind, "code": code, "message": message, "param": param}
        self.body = {"error": {name: value for name, value in stated.items() if value is not None}}


def guarded(routes: Blueprint, world: World) -> None:
    """The API key, the faults that are switched on, and errors in Stripe's form."""

    @routes.errorhandler(Failed)
    def failed(error: Failed) -> tuple[Response, int]:
        return jsonify(error.body), error.status

    @routes.before_request
    def guard() -> Response | None:
        wanted = f"Bearer {world.settings.stripe_secret_key}".encode()
        given = request.headers.get("Authorization", "").encode()
        if not world.settings.stripe_secret_key or not hmac.compare_digest(wanted, given):
            raise Failed(401, "Invalid API Key provided.")
        return world.faults.before("stripe", request)

    @routes.after_request
    def leave(response: Response) -> Response:
        response.headers["Request-Id"] = records.new_id("req")
        return world.faults.after(request, response)


def once(world: World, act: Callable[[Mapping[str, Any]], Document]) -> Response:
    """Do what a key asks once: the same call again is told the same, another call of that key is refused."""
    key = request.headers.get("Idempotency-Key", "")
    pairs = list(request.form.items(multi=True))
    fingerprint = hashlib.sha256(json.dumps([request.path, sorted(pairs)]).encode()).hexdigest()
    with world.store.lock:
        known = world.store.get(_KEY, key) if key else None
        if known is not None and known["fingerprint"] != fingerprint:
            message = "Keys for idempotent requests can only be used with the parameters they were first used with."
            raise Failed(400, message, kind="idempotency_error")
        if known is None:
            known = {"id": key, "fingerprint": fingerprint, **_done(act, stripe_forms.decode(pairs))}
            if key and known.pop("saved"):
                world.store.put(_KEY, known)
    response = jsonify(known["body"])
    response.status_code = known["status"]
    return response


def _done(act: Callable[[Mapping[str, Any]], Document], wanted: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"status": 200, "body": records.shown(act(wanted)), "saved": True}
    except Failed as error:
        return {"status": error.status, "body": error.body, "saved": error.saved}


def one(world: World, kind: str, identity: str) -> Response:
    found = world.store.get(kind, identity)
    if found is None:
        raise missing(kind.removeprefix("checkout_"), identity)
    paths = stripe_forms.decode(request.args.items(multi=True)).get("expand") or []
    return jsonify(expanded(world, found, paths))


def expanded(world: World, document: Document, paths: Any) -> Document:
    """As the API shows it, with what is asked for in place of its id or beside what is told without asking."""
    answer = deepcopy(document)
    for path in paths if isinstance(paths, list) else []:
        if path.count(".") >= _DEEPEST:
            raise invalid(
                "parameter_invalid", "expand", f"You cannot expand more than {_DEEPEST} levels of a property."
            )
        _expand(world, answer, path.split("."))
    return records.shown(answer)


def _expand(world: World, node: Any, path: list[str]) -> None:
    if isinstance(node, list):
        for each in node:
            _expand(world, each, path)
    if not isinstance(node, dict):
        return
    name, rest = path[0], path[1:]
    if f"_{name}" in node:
        node[name] = node.pop(f"_{name}")
    if name in node:
        node[name] = _found(world, node[name])
        if rest:
            _expand(world, node[name], rest)


def _found(world: World, value: Any) -> Any:
    """What an id, or each of several, leads to."""
    if isinstance(value, list):
        return [_found(world, each) for each in value]
    target = world.store.get(KINDS.get(value.partition("_")[0], ""), value) if isinstance(value, str) else None
    return value if target is None else deepcopy(target)


def page(world: World, kind: str, *filters: str, found: Iterable[Document] | None = None) -> dict[str, Any]:
    """Newest first, as all of Stripe's lists; `filters` are the parameters that name a field of the same name."""
    asked = stripe_forms.decode(request.args.items(multi=True))
    wanted = {name: asked[name] for name in filters if name in asked}
    made_then = _made_then(asked)
    documents = [
        document
        for document in reversed(world.store.all(kind) if found is None else list(found))
        if all(document[name] == value for name, value in wanted.items()) and made_then(document)
    ]
    documents.sort(key=lambda document: -document["created"])
    after, ids = asked.get("starting_after"), [document["id"] for document in documents]
    if after is not None and after not in ids:
        raise missing(kind, after)
    rest = documents if after is None else documents[ids.index(after) + 1 :]
    size = min(number(asked.get("limit", _DEFAULT_PAGE), "limit"), _LARGEST_PAGE)
    paths = asked.get("expand") or []
    return {
        "object": "list",
        "data": [expanded(world, {"data": document}, paths)["data"] for document in rest[:size]],
        "has_more": len(rest) > size,
        "url": request.path.removeprefix("/stripe"),
    }


def _made_then(asked: Mapping[str, Any]) -> Callable[[Document], bool]:
    """Whether something was made at the time that is asked for: at one second, or within bounds."""
    created = asked.get("created", {})
    if not isinstance(created, dict):
        second = number(created, "created")
        return lambda document: bool(document["created"] == second)
    bounds = [
        (compare, number(created[name], f"created[{name}]")) for name, compare in _BOUNDS.items() if name in created
    ]
    return lambda document: all(compare(document["created"], bound) for compare, bound in bounds)


def number(value: Any, name: str) -> int:
    if not str(value).isdecimal():
        raise invalid("parameter_invalid_integer", name, f"Invalid integer: {value}")
    return int(value)


def invalid(code: str, param: str, message: str) -> Failed:
    return Failed(400, message, code=code, param=param)


def missing(what: str, identity: str) -> Failed:
    return Failed(404, f"No such {what}: '{identity}'", code="resource_missing", param=what)
