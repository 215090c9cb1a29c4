"""One declaration for each public endpoint: its address, what it takes, what it answers, and what it refuses.

`endpoint` puts a function behind an address. From the same declaration the body is read (`bodies`), the answer is
written, and the document is made (`openapi`): what is not declared is neither taken nor described.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from flask import Blueprint
from flask.typing import ResponseReturnValue
from pydantic import BaseModel

from views.public import bodies

View = TypeVar("View", bound=Callable[..., Any])
Security = Sequence[Mapping[str, Sequence[str]]]

CUSTOMER: Security = ({"customer": []},)
GUEST: Security = ({"guest": []},)
SERVICE: Security = ({"serviceKey": []}, {"serviceKeyHeader": []})


@dataclass(frozen=True)
class Parameter:
    """A value of the query, read by the endpoint itself; as JSON Schema describes it."""

    name: str
    description: str | None = None
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True)
class Endpoint:
    """What is declared of one method of one address.

    `answers` names, by status, what the answer is and its shape (None: any JSON object); the first is the status of a
    success. `refuses` are the statuses of problem documents. `body` is the shape of a JSON body, `takes_any_json` says
    that it is a provider's. `values` are those that a part of the address can have.
    """

    method: str
    address: str
    id: str
    summary: str
    answers: Mapping[int, tuple[str, type[BaseModel] | None]]
    refuses: Sequence[int] = ()
    body: type[BaseModel] | None = None
    takes_any_json: bool = False
    query: Sequence[Parameter] = ()
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    security: Security = ()


DECLARED: list[Endpoint] = []


def endpoint(
    doors: Blueprint, declared: Endpoint, *, caller: Callable[[], object] | None = None
) -> Callable[[View], View]:
    """Put the function behind the address.

    It gets, in this order, what `caller` returns, which proves who calls before anything of the body is looked at, the
    body in its shape, and the parts of the address by their names. It returns a shape, for the status of a success, or
    anything that Flask takes. Raises what `bodies.read` raises; refusals are answered by `views.errors`.
    """

    def put(view: View) -> View:
        @wraps(view)
        def serve(**parts: Any) -> ResponseReturnValue:
            given = [caller()] if caller is not None else []
            if declared.body is not None:
                given.append(bodies.read(declared.body))
            answer: BaseModel | ResponseReturnValue = view(*given, **parts)
            if isinstance(answer, BaseModel):
                return answer.model_dump(mode="json"), next(iter(declared.answers))
            return answer

        DECLARED.append(declared)
        doors.add_url_rule(declared.address, view_func=serve, methods=[declared.method])
        return view

    return put
