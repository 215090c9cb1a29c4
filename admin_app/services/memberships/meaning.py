"""What a change of memberships means, for the plan of the command that makes it: the memberships themselves, whoever
holds them, and the worklist.

It reads what the acting code decides by: `rows.held_by`, `deriving.derived`, `extras.due`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from admin_app.services.core.plans import PlanLine
from admin_app.services.core.records import extra_key, given_key
from admin_app.services.memberships import extras
from models.memberships import ProviderMembership

EXTRA, MEMBERSHIP, PROFILE = "extra_purchase", "membership", "profile"
BESIDE = "what is held then"


@dataclass(frozen=True)
class Meaning:
    """Lines of other records than the holder's, how those are called, and the kinds of those that are new."""

    lines: tuple[PlanLine, ...] = ()
    names: Mapping[str, str] | None = None
    adds: tuple[str, ...] = ()

    def __add__(self, other: "Meaning") -> "Meaning":
        names = {**(self.names or {}), **(other.names or {})}
        return Meaning((*self.lines, *other.lines), names, (*self.adds, *other.adds))


def of_row(row: ProviderMembership, values: Mapping[str, Any], source: str) -> Meaning:
    """What becomes of one membership; one that is not stored yet, because only columns told of it, is new."""
    if not row.id:
        return Meaning(adds=(MEMBERSHIP,))
    key = given_key(row.id)
    lines = [PlanLine(key, name, getattr(row, name), value, source) for name, value in values.items()]
    return Meaning(tuple(line for line in lines if line.changes), {key: f"the membership {row.external_id or row.id}"})


def of_worklist(session: Session, user_id: str, rows: Sequence[ProviderMembership]) -> Meaning:
    """What the worklist gets and loses once the account holds these."""
    due, found = extras.due(session, user_id, rows), Meaning()
    for name, item in due.opens.items():
        if item is None:
            found += Meaning(adds=(EXTRA,))
        else:
            found += of_item(item, {"user_id": user_id, "resolution": None}, f"{name} is one too many")
    for item, because in due.closes:
        found += of_item(item, {"resolution": because}, BESIDE)
    return found


def of_item(item: Any, values: Mapping[str, Any], source: str) -> Meaning:
    """What becomes of an item of the worklist."""
    key = extra_key(item.id)
    lines = [PlanLine(key, name, getattr(item, name), value, source) for name, value in values.items()]
    about = item.replaced_membership_id or f"purchase {item.pending_profile_id}"
    return Meaning(tuple(line for line in lines if line.changes), {key: f"the worklist’s item about {about}"})
