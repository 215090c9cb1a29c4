"""What a command over many records was given: the rows chosen in a list, or everything that its filter finds."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import Select, false, func, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from admin_app.errors import InvalidInput
from views.console.framework.current_staff import Viewer
from views.console.framework.list_specs import ListSpec
from views.console.framework.listing import (
    PICK,
    ListQuery,
    active_filters,
    conditions_of,
    found_by,
    parameters_of,
    read_query,
)

MATCHING = "matching"
CARRIED = "choice"
NOT_APPLIED = (
    "The filter in the address cannot be applied as it is, so nothing is chosen. Go back to the list and set it anew."
)


@dataclass(frozen=True)
class Selection:
    """The keys of the records as a statement, how many they are now, what they are in words, and the list again."""

    keys: Select[Any]
    count: int
    words: str
    back: str

    @property
    def sentence(self) -> str:
        return f"{self.words[:1].upper()}{self.words[1:]}."


def read_selection(session: Session, spec: ListSpec, args: MultiDict[str, str], viewer: Viewer) -> Selection:
    """Raises InvalidInput when nothing is chosen, and rather than choose more than was meant."""
    query = read_query(spec, args, viewer)
    if query.notices:
        raise InvalidInput(NOT_APPLIED, code="filter_not_applied")
    if args.get("of") == MATCHING:
        keys = matching(session, query)
        searched = [f"search “{query.search}”"] if query.search else []
        filters = [*searched, *(active.text for active in active_filters(query))]
        words = f"every {spec.one} with {', '.join(filters)}" if filters else f"every {spec.one}"
    else:
        picked = {spec.parse_key(text) for text in args.getlist(PICK)} - {None}
        keys = select(spec.key).where(spec.key.in_(sorted(picked)))
        words = f"{len(picked)} {spec.one if len(picked) == 1 else spec.plural} chosen in the list"
    count = session.execute(select(func.count()).select_from(keys.subquery())).scalar_one()
    if not count:
        raise InvalidInput(
            f"Choose one or more {spec.plural} first: tick their boxes in the list, or take all that match its filter.",
            code="nothing_chosen",
        )
    return Selection(keys, count, words, query.url())


def matching(session: Session, query: ListQuery) -> Select[Any]:
    """The keys of all records that this list would show, on all its pages."""
    mode = found_by(session, replace(query, backwards=False, cursor=None))
    keys = select(query.spec.key)
    if query.search and mode is None:
        return keys.where(false())
    conditions = conditions_of(query.spec, frozenset(query.parameters), mode)
    return keys.where(*conditions).params(**parameters_of(query, mode))


def given(args: MultiDict[str, str], form: MultiDict[str, str]) -> MultiDict[str, str]:
    """What the list gave to the page that asks what to do with it; its form carries that along."""
    return MultiDict(parse_qsl(form[CARRIED])) if CARRIED in form else args


def carried(args: MultiDict[str, str]) -> dict[str, str]:
    """The hidden field by which that form carries it."""
    return {CARRIED: urlencode(list(args.items(multi=True)))}
