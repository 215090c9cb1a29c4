"""The search box of a list: whole values by equality, parts of words by the trigram indexes, nothing by a scan."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, bindparam, cast, func, or_
from sqlalchemy.dialects.postgresql import CITEXT

from views.console.framework.filters import whole_number

SHORTEST_PART = 3
LONGEST = 200
WHOLE_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
Mode = Literal["email", "number", "exact", "part"]


@dataclass(frozen=True)
class Search:
    """What can be searched: `emails` and `exact` by equality, `parts` (lower-case expressions) by any part.

    `within` goes with `exact`: the condition on an index's first column, without which the index is of no use.
    """

    hint: str
    emails: tuple[Any, ...] = ()
    parts: tuple[Any, ...] = ()
    exact: tuple[Any, ...] = ()
    key: Any = None
    within: ColumnElement[bool] | None = None

    def modes(self, text: str) -> Iterator[Mode]:
        """How this text can be looked for, the surest and cheapest first; the next is for no match."""
        if self.emails and WHOLE_EMAIL.fullmatch(text):
            yield "email"
        if self.key is not None and whole_number(text) is not None:
            yield "number"
        by_id: tuple[Mode, ...] = ("exact",) if self.exact and "@" not in text else ()
        by_part: tuple[Mode, ...] = ("part",) if self.parts and len(text) >= SHORTEST_PART else ()
        # Parts of addresses have dots, ids of providers have none: what is more likely is looked for first.
        yield from (*by_part, *by_id) if "." in text else (*by_id, *by_part)

    def is_too_short(self, text: str) -> bool:
        """Whether parts could be found if only there were more of them."""
        return bool(self.parts) and len(text) < SHORTEST_PART and "number" not in self.modes(text)

    def condition(self, mode: Mode) -> ColumnElement[bool]:
        match mode:
            case "email":
                # The cast keeps citext's comparison, which the column's index is made for.
                return or_(*(column == cast(bindparam("q"), column.type) for column in self.emails))
            case "number":
                condition: ColumnElement[bool] = self.key == bindparam("q_number", type_=self.key.type)
                return condition
            case "exact":
                any_of = or_(*(column == bindparam("q", type_=Text) for column in self.exact))
                return any_of if self.within is None else self.within & any_of
            case "part":
                return or_(*(part.like(bindparam("q_part", type_=Text), escape="\\") for part in self.parts))

    def parameters(self, mode: Mode, text: str) -> dict[str, Any]:
        if mode == "number":
            return {"q_number": whole_number(text)}
        return {"q_part": f"%{escaped(text.lower())}%"} if mode == "part" else {"q": text}


def typed_text(given: str) -> str:
    """What was typed, without what cannot be seen or shown: control characters have no place on a page."""
    return "".join(sign for sign in " ".join(given.split()) if sign.isprintable())[:LONGEST]


def part_of(column: Any) -> Any:
    """The expression that the trigram index of a text or citext column is made on."""
    is_text = not isinstance(column.type, CITEXT)
    return func.lower(column) if is_text else func.lower(cast(column, Text))


def escaped(text: str) -> str:
    """The text with LIKE's own signs meaning themselves."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
