"""Pieces that every part of the description is made of."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from admin_app.bounds import BIGGEST


def json_of(shape: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{shape.__name__}"}}}


def body(shape: type[BaseModel]) -> dict[str, Any]:
    return {"required": True, "content": json_of(shape)}


def answer(description: str, shape: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": json_of(shape)}


def problems(*statuses: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(status): {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def number_in_path(name: str) -> dict[str, Any]:
    number = {"type": "integer", "minimum": 1, "maximum": BIGGEST}
    return {"name": name, "in": "path", "required": True, "schema": number}
