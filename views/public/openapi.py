"""The machine-readable description of the public endpoints (OpenAPI 3.1), made of their declarations."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from views.public.endpoints import DECLARED, Endpoint, Parameter, endpoint
from views.public.shapes import Problem

doors = Blueprint("openapi", __name__)

_PART = re.compile(r"<(?:int\(max=(?P<most>\d+)\):)?(?P<name>\w+)>")
_SECURITY: dict[str, Any] = {
    "customer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The session token of the sign-in provider.",
    },
    "guest": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a guest's session.",
    },
    "serviceKey": {"type": "http", "scheme": "bearer", "description": "A service key, made in the console."},
    "serviceKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
}


@endpoint(
    doors,
    Endpoint("GET", "/api/openapi.json", id="openapi", summary="This document", answers={200: ("OpenAPI 3.1", None)}),
)
def document() -> ResponseReturnValue:
    return build()


@cache
def build() -> dict[str, Any]:
    """The document, of every endpoint that is declared when it is first asked for."""
    paths: dict[str, dict[str, Any]] = {}
    for each in DECLARED:
        paths.setdefault(_PART.sub(r"{\g<name>}", each.address), {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Backdesk",
            "version": "1.0.0",
            "description": "What providers, customers and the business's own clients call. "
            "Every refusal is an RFC 9457 problem document with a stable `code`.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": _SECURITY},
    }


def _schemas() -> dict[str, Any]:
    taken = {each.body for each in DECLARED if each.body is not None}
    answered = {shape for each in DECLARED for _, shape in each.answers.values() if shape is not None} | {Problem}
    modes: dict[type[BaseModel], JsonSchemaMode] = dict.fromkeys(answered, "serialization")
    modes |= dict.fromkeys(taken, "validation")
    shapes = sorted(modes.items(), key=lambda one: one[0].__name__)
    _, schemas = models_json_schema(shapes, ref_template="#/components/schemas/{model}")
    found: dict[str, Any] = schemas["$defs"]
    return found


def _operation(each: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": each.id, "summary": each.summary}
    if each.security:
        operation["security"] = [dict(way) for way in each.security]
    parameters = [_in_path(part, each) for part in _PART.finditer(each.address)]
    if parameters := [*parameters, *map(_in_query, each.query)]:
        operation["parameters"] = parameters
    if each.body is not None or each.takes_any_json:
        operation["requestBody"] = {"required": True, "content": _json(each.body)}
    problems = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers = {status: {"description": said, "content": _json(shape)} for status, (said, shape) in each.answers.items()}
    refusals = {status: {"description": HTTPStatus(status).phrase, "content": problems} for status in each.refuses}
    operation["responses"] = {str(status): answer for status, answer in (answers | refusals).items()}
    return operation


def _in_path(part: re.Match[str], each: Endpoint) -> dict[str, Any]:
    most, name = part["most"], part["name"]
    schema: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": int(most)} if most else {"type": "string"}
    if name in each.values:
        schema["enum"] = list(each.values[name])
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(stated: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {"name": stated.name, "in": "query", "schema": dict(stated.schema)}
    if stated.description:
        found["description"] = stated.description
    if stated.required:
        found["required"] = True
    return found


def _json(shape: type[BaseModel] | None) -> dict[str, Any]:
    named = {"type": "object"} if shape is None else {"$ref": f"#/components/schemas/{shape.__name__}"}
    return {"application/json": {"schema": named}}
