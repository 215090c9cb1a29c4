"""A side of a comparison with one object that cannot be read."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from admin_app.context import Ctx
from admin_app.services.drift import Taken


class Odd:
    """One object, which cannot be taken in when its name says so."""

    def __init__(self, name: str) -> None:
        self.external_id, self.ids, self.theirs = name, (name,), {"status": "there"}

    def take_in(self, ctx: Ctx) -> Taken:
        if self.external_id == "broken":
            raise ValueError(self.external_id)
        return Taken(left_out=True)


class OddSide:
    provider = "whop"

    def listed(self, since: datetime) -> Iterator[Odd]:
        return map(Odd, ("first", "broken", "last"))

    def whole(self, listed: Odd, work: Any) -> Odd:
        return listed

    def ask(self, external_id: str) -> Odd:
        return Odd(external_id)

    def held(self, *_: Any) -> list[tuple[str, str]]:
        return []

    def ours(self, *_: Any) -> None:
        return None

    def differing(self, *_: Any) -> list[str]:
        return []
