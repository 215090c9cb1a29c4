"""The collected documents of the providers' APIs, and a watch that holds our requests against them.

The documents lie beside the project where it is developed. Without them nothing is checked.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask import Flask, Request, request
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.integrations.signing import SHARED_CONTRACTS

# Where each document's paths begin at the simulator.
PREFIXES = {
    "/stripe/v1/": ("stripe", "/stripe"),
    "/whop/api/v1/": ("whop", "/whop/api/v1"),
    "/clerk/v1/": ("clerk-bapi", "/clerk/v1"),
    "/workos/": ("workos", "/workos"),
    "/calendly/": ("calendly", "/calendly"),
    "/calcom/": ("calcom-v2", "/calcom"),
}
# Calls that the trimmed documents leave out, after the parameters of the official SDKs.
_TEXT, _WHOLE = {"schema": {"type": "string"}}, {"schema": {"type": "integer"}}


def _json(**properties: Any) -> Mapping[str, Any]:
    """A body that has these and nothing else."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"content": {"application/json": {"schema": schema}}}


_PAGES = [
    {"name": "first", "in": "query", **_WHOLE},
    {"name": "after", "in": "query", **_TEXT},
]
ADDED: Mapping[str, Mapping[str, Any]] = {
    "whop": {
        "/memberships/{id}": {
            "patch": {
                "requestBody": _json(
                    billing_period_days={"type": "integer"},
                    cancel_at_period_end={"type": "boolean"},
                    metadata={"type": "object"},
                    payment_method_id={"type": "string"},
                )
            }
        },
        "/memberships/{id}/reactivate": {"post": {"requestBody": _json(days={"type": "integer", "minimum": 1})}},
        "/payments": {"get": {"parameters": [{"name": "membership_id", "in": "query", **_TEXT}, *_PAGES]}},
        "/refunds": {"get": {"parameters": [{"name": "payment_id", "in": "query", **_TEXT}, *_PAGES]}},
        "/payments/{id}/refund": {
            "post": {
                "parameters": [{"name": "id", "in": "path", "required": True, **_TEXT}],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"partial_amount": {"type": "number"}, "metadata": {"type": "object"}},
                            }
                        }
                    }
                },
            }
        },
    },
    "clerk-bapi": {
        "/email_addresses": {
            "post": {
                "requestBody": _json(
                    user_id={"type": "string"},
                    email_address={"type": "string"},
                    verified={"type": ["boolean", "null"]},
                    primary={"type": ["boolean", "null"]},
                )
            }
        },
        "/email_addresses/{email_address_id}": {
            "patch": {
                "requestBody": _json(verified={"type": ["boolean", "null"]}, primary={"type": ["boolean", "null"]})
            },
            "delete": {},
        },
    },
    "stripe": {
        "/v1/disputes": {
            "get": {
                "parameters": [
                    {"name": "charge", "in": "query", **_TEXT},
                    {"name": "created", "in": "query", "schema": {"type": "object"}},
                    {"name": "payment_intent", "in": "query", **_TEXT},
                    {"name": "starting_after", "in": "query", **_TEXT},
                    {"name": "limit", "in": "query", **_WHOLE},
                ]
            }
        },
        "/v1/subscription_items": {
            "get": {
                "parameters": [
                    {"name": "subscription", "in": "query", "required": True, **_TEXT},
                    {"name": "expand", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "starting_after", "in": "query", **_TEXT},
                    {"name": "limit", "in": "query", **_WHOLE},
                ]
            }
        },
    },
}
_PART = re.compile(r"\[([^\[\]]*)\]")


@cache
def document(name: str) -> Mapping[str, Any]:
    contents = _readable(json.loads((SHARED_CONTRACTS / f"{name}.openapi.json").read_text()))
    for path, calls in ADDED.get(name, {}).items():
        contents["paths"][path] = contents["paths"].get(path, {}) | calls
    return contents


@cache
def registry(name: str) -> Registry[Any]:
    resource = Resource.from_contents(document(name), default_specification=DRAFT202012)
    return Registry().with_resource(name, resource)


def _readable(node: Any) -> Any:
    """`nullable` of OpenAPI 3.0 in the words of JSON Schema; and a choice of one may fit several, as Cal.com's do."""
    if isinstance(node, list):
        return [_readable(item) for item in node]
    if not isinstance(node, dict):
        return node
    renamed = {"anyOf" if name == "oneOf" else name: value for name, value in node.items()}
    plain = {name: _readable(value) for name, value in renamed.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def problems(name: str, pointer: str, value: Any, **beside: Any) -> list[str]:
    """What is wrong with a value by the schema at this place of a document; nothing when all is well."""
    found = _validator(name, pointer, **beside).iter_errors(value)
    closest = [best_match([error]) or error for error in found]
    return [f"{error.json_path}: {error.message[:300]}" for error in closest]


@cache
def _validator(name: str, pointer: str, **beside: Any) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"{name}#{pointer}", **beside}, registry=registry(name))


@dataclass(frozen=True)
class Operation:
    """One call of a document, with pointers to the schemas of its parts."""

    name: str
    pattern: re.Pattern[str]
    pointer: str
    contents: Mapping[str, Any]
    parameters: Mapping[tuple[str, str], str]

    def parameter(self, place: str, wanted: str) -> str | None:
        return self.parameters.get((place, wanted))


@cache
def operations(name: str) -> tuple[Operation, ...]:
    return tuple(_operations(name))


def _operations(name: str) -> Iterator[Operation]:
    for path, item in document(name)["paths"].items():
        pattern = re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path)))
        for method in item.keys() & {"get", "post", "put", "patch", "delete"}:
            pointer = f"/paths/{_escaped(path)}"
            parameters = {}
            for place in (pointer, f"{pointer}/{method}"):
                holder = item if place == pointer else item[method]
                for number, _ in enumerate(holder.get("parameters", ())):
                    found_at, found = _resolved(name, f"{place}/parameters/{number}")
                    key = (found["in"], found["name"].lower() if found["in"] == "header" else found["name"])
                    parameters[key] = found_at
            yield Operation(f"{method.upper()} {path}", pattern, f"{pointer}/{method}", item[method], parameters)


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def at(name: str, pointer: str) -> Any:
    node: Any = document(name)
    for part in pointer.strip("/").split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node


def _resolved(name: str, pointer: str) -> tuple[str, Any]:
    """What is at this place, or where it refers to."""
    found = at(name, pointer)
    while isinstance(found, dict) and "$ref" in found:
        pointer = found["$ref"].removeprefix("#")
        found = at(name, pointer)
    return pointer, found


def violations(sent: Request) -> list[str]:
    """What in a request to the simulator is not as the provider's document has it."""
    for start, (name, prefix) in PREFIXES.items():
        if sent.path.startswith(start):
            path = sent.path.removeprefix(prefix)
            method = f"{sent.method} "
            for operation in operations(name):
                if operation.name.startswith(method) and operation.pattern.fullmatch(path):
                    found = [*_in_query(name, operation, sent), *_in_headers(name, operation, sent)]
                    found += _in_body(name, operation, sent)
                    return [f"{operation.name}: {problem}" for problem in found]
            return [f"{sent.method} {path}: the document has no such call"]
    return []


def _in_query(name: str, operation: Operation, sent: Request) -> Iterator[str]:
    given = decode(sent.args.items(multi=True))
    yield from _missing(name, operation, "query", given.keys())
    for parameter, value in given.items():
        pointer = operation.parameter("query", parameter) or operation.parameter("query", f"{parameter}[]")
        if pointer is None:
            yield f"no query parameter {parameter}"
        else:
            found = coerced(name, f"{pointer}/schema", value)
            yield from (f"query {parameter}{problem}" for problem in problems(name, f"{pointer}/schema", found))


def _in_headers(name: str, operation: Operation, sent: Request) -> Iterator[str]:
    given = {header.lower(): value for header, value in sent.headers.items()}
    yield from _missing(name, operation, "header", given.keys())
    for (place, parameter), pointer in operation.parameters.items():
        if place == "header" and parameter in given:
            for problem in problems(name, f"{pointer}/schema", coerced(name, f"{pointer}/schema", given[parameter])):
                yield f"header {parameter}{problem}"


def _missing(name: str, operation: Operation, place: str, given: Any) -> Iterator[str]:
    for (where, parameter), pointer in operation.parameters.items():
        if where == place and at(name, pointer).get("required") and parameter not in given:
            yield f"{place} parameter {parameter} is missing"


def _in_body(name: str, operation: Operation, sent: Request) -> Iterator[str]:
    raw = sent.get_data(cache=True)
    if "requestBody" not in operation.contents:
        if raw.strip() not in {b"", b"{}"}:
            yield "a body where none is known"
        return
    place, body = _resolved(name, f"{operation.pointer}/requestBody")
    if not raw:
        if body.get("required"):
            yield "no body"
        return
    if sent.mimetype not in body["content"]:
        yield f"a body of type {sent.mimetype}"
        return
    pointer = f"{place}/content/{_escaped(sent.mimetype)}/schema"
    if sent.mimetype == "application/json":
        value = json.loads(raw)
    else:
        value = coerced(name, pointer, decode(sent.form.items(multi=True)))
    # Documents seldom say that there is nothing else; a name that they do not have is a slip of ours.
    yield from problems(name, pointer, value, unevaluatedProperties=False)


def decode(pairs: Iterator[tuple[str, str]]) -> dict[str, Any]:
    """A query or form with its brackets read: `a[b][0]=x` is {"a": {"b": ["x"]}}; a repeated name is a list."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        head, *rest = [key.partition("[")[0], *_PART.findall(key)]
        path, node = [head, *(part for part in rest if part)], found
        for part in path[:-1]:
            node = node.setdefault(part, {})
        if path[-1] in node:
            before = node[path[-1]]
            node[path[-1]] = [*(before if isinstance(before, list) else [before]), value]
        else:
            node[path[-1]] = value
    return {key: _listed(value) for key, value in found.items()}


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    values = {key: _listed(value) for key, value in node.items()}
    if values and list(values) == [str(number) for number in range(len(values))]:
        return list(values.values())
    return values


def coerced(name: str, pointer: str, value: Any) -> Any:
    """Text of a form as the number, flag or list that the schema wants there, where it can be one."""
    pointer, schema = _resolved(name, pointer)
    for choice in ("anyOf", "allOf"):
        tried = [
            coerced(name, f"{pointer}/{choice}/{number}", value) for number, _ in enumerate(schema.get(choice, ()))
        ]
        for number, found in enumerate(tried):
            if not problems(name, f"{pointer}/{choice}/{number}", found):
                return found
    kinds = schema.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if isinstance(value, dict):
        return {
            key: coerced(name, f"{pointer}/properties/{_escaped(key)}", inner)
            if key in schema.get("properties", {})
            else inner
            for key, inner in value.items()
        }
    if "array" in kinds:
        items = value if isinstance(value, list) else [value]
        return [coerced(name, f"{pointer}/items", item) for item in items] if "items" in schema else items
    return _scalar(value, kinds)


def _scalar(value: Any, kinds: set[str]) -> Any:
    if not isinstance(value, str):
        return value
    if "integer" in kinds and value.lstrip("-").isdecimal():
        return int(value)
    if "number" in kinds:
        try:
            return float(value)
        except ValueError:
            return value
    if "boolean" in kinds and value in {"true", "false"}:
        return value == "true"
    return value


class Watch:
    """Notes what in the requests to a simulator of this process is not as the documents have it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: list[str] = []

    def over(self, simulator: Flask) -> None:
        if not SHARED_CONTRACTS.exists():
            return

        @simulator.before_request
        def look() -> None:
            found = violations(request)
            with self._lock:
                self._noted.extend(found)

    def taken(self) -> list[str]:
        """What was noted since the last time."""
        with self._lock:
            noted, self._noted = self._noted, []
        return noted


WATCH = Watch()
