"""JSON bodies of the public doors, read strictly and refused in sentences."""

import json
import re
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from admin_app.errors import DomainError, InvalidInput

Shape = TypeVar("Shape", bound=BaseModel)

_SENTENCES = {
    "missing": "This field is required.",
    "string_type": "This must be text.",
    "string_too_short": "This must not be empty.",
    "string_too_long": "This is longer than allowed.",
}
_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class NotJson(DomainError):
    code = "not_json"
    status = 400
    sentence = "The body is not a JSON object. Send one, encoded in UTF-8."


def raw() -> bytes:
    """The request's body as it came, complete (views/middleware/request_body.py); one that is too large is a 413."""
    return request.get_data(cache=False)


def read(shape: type[Shape]) -> Shape:
    """The request's body in this shape; fields that the shape does not know are ignored."""
    if not request.is_json:
        raise UnsupportedMediaType
    try:
        body = json.loads(raw().decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise NotJson from None
    if not isinstance(body, dict):
        raise NotJson
    try:
        return shape.model_validate(body, strict=True)
    except ValidationError as refused:
        raise InvalidInput(
            "Something in the body is not right. Correct the named fields and send it again.",
            fields={_name(error["loc"]): _sentence(error) for error in refused.errors(include_input=False)},
        ) from None


def plain_text(value: str) -> str:
    """Refuse what no line of text holds and PostgreSQL cannot keep: control characters and lone surrogates."""
    if _UNSTORABLE.search(value):
        raise ValueError("This holds characters that cannot be kept.")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _name(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))


def _sentence(error: Any) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return _SENTENCES.get(error["type"], "This value is not one that is taken here.")
