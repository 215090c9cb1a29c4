"""The rules of DESIGN 5 once more, in plain dictionaries: what the services are compared with.

Written from the rules and not from the services. Modelled is who holds which membership, whether it is live, which one
counts, and what waits for support about purchases; credits and columns are held against the invariants instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
MONTH = 30 * 24 * 60  # minutes, as all times here
LONG_AGO = -1


@dataclass
class Model:
    """`mems` by the provider's id, `given` the complimentary ones by our number; `touched` when each profile was
    changed last, which the database tells.
    """

    mems: dict[str, Row] = field(default_factory=dict)
    given: dict[int, Row] = field(default_factory=dict)
    pendings: dict[int, Row] = field(default_factory=dict)
    profiles: dict[str, Row] = field(default_factory=dict)
    legacy: dict[str, Row] = field(default_factory=dict)
    merges: list[Row] = field(default_factory=list)
    extras: set[tuple[str, int]] = field(default_factory=set)  # open, about purchases: whose, and which
    noted: set[int] = field(default_factory=set)  # each purchase comes to the worklist once
    verified: dict[str, str] = field(default_factory=dict)  # whose each address is by now: whoever signed in last
    touched: Mapping[str, Any] = field(default_factory=dict)
    now: int = 0
    next_pending: int = 0

    # -- who holds what ------------------------------------------------------------------------------------------

    def held(self, holder: str | int) -> list[Row]:
        return [row for row in self.mems.values() if row["holder"] == holder]

    @staticmethod
    def rank(row: Row) -> tuple[Any, ...]:
        nothing_told = LONG_AGO
        return (
            row["live"],
            row["preferred"] or nothing_told,
            nothing_told if row["start"] is None else row["start"],
            nothing_told if row["at"] is None else row["at"],
            row["number"],
        )

    def serving(self, rows: list[Row]) -> Row | None:
        return max(rows, key=self.rank, default=None)

    def pays(self, holder: str | int) -> bool:
        return any(row["live"] for row in self.held(holder))

    def given_to(self, holder: str | int) -> list[Row]:
        return [row for row in self.given.values() if row["holder"] == holder]

    def has_given(self, holder: str | int) -> bool:
        return any(row["live"] for row in self.given_to(holder))

    def is_pro(self, holder: str | int) -> bool:
        return self.pays(holder) or self.has_given(holder)

    def seen(self, holder: str | int) -> tuple[bool, str | None]:
        best = self.serving(self.held(holder))
        return self.is_pro(holder), best and best["mem"]

    def make(self, mem: str, holder: str | int, **values: Any) -> Row:
        row = {"mem": mem, "holder": holder, "live": False, "at": None, "start": None, "email": None, "deleted": None}
        self.mems[mem] = row | {"preferred": None, "moved_from": None, "number": len(self.mems)} | values
        return self.mems[mem]

    def holder_at(self, email: str) -> str | int | None:
        owner = self.verified.get(email)
        people = [user for user, row in self.profiles.items() if row["email"] == email]
        if owner is not None:
            people = [owner] if owner in self.profiles else []
        if people:
            return max(people, key=lambda user: (self.is_pro(user), self.touched[user]))
        pending = self.under(email)
        if pending is None:
            name = self.legacy_at(email)
            pending = self.adopt(name) if name else None
        return None if pending is None else self.has(pending)

    def under(self, email: str) -> Row | None:
        return next((row for row in self.pendings.values() if row["email"] == email), None)

    def legacy_at(self, email: str) -> str | None:
        return next((name for name, row in self.legacy.items() if row["email"] == email), None)

    def claimant(self, pending: Row) -> str | None:
        """Whose later purchases under the address are, unless somebody else has verified it since."""
        claimed_by: str | None = pending["claimed_by"]
        owner = self.verified.get(pending["email"])
        return claimed_by if claimed_by in self.profiles and owner in (None, claimed_by) else None

    def has(self, pending: Row) -> str | int:
        """Who has what comes under its address: its claimant, else it waits there from now on."""
        claimant = self.claimant(pending)
        if claimant is None and pending["claimed_by"]:
            self.make_room(pending)
        return claimant or int(pending["id"])

    def make_room(self, pending: Row) -> None:
        """Its claim stays in force without it, and its account keeps what it got."""
        for merge in self.merges:
            if merge["pending"] == pending["id"] and merge["in_force"]:
                merge["pending"] = None
        pending["claimed_by"] = None
        self.extras = {extra for extra in self.extras if extra[1] != pending["id"]}
        self.noted.discard(pending["id"])

    def waiting(self, user: str, email: str) -> Row | None:
        """What this person finds under the address, with the legacy row that is not another's."""
        name, pending = self.legacy_at(email), self.under(email)
        if name and pending is None:
            self.adopt(name)
        elif name and pending is not None and self.claimant(pending) in (None, user):
            self.join(name)
        return self.under(email)

    def adopt(self, name: str) -> Row | None:
        row = self.legacy[name]
        if self.under(row["email"]) is not None:
            return None
        del self.legacy[name]
        pending = self.wait(row["email"])
        if row["mem"] not in self.mems:
            self.make(row["mem"], pending["id"], live=True)
        return pending

    def wait(self, email: str) -> Row:
        self.next_pending += 1
        self.pendings[self.next_pending] = {"id": self.next_pending, "email": email, "claimed_by": None}
        return self.pendings[self.next_pending]

    def find(self, mem: str) -> Row | None:
        if mem not in self.mems:
            name = next((n for n, row in self.legacy.items() if row["mem"] == mem), None)
            if name and self.adopt(name) is None:
                self.join(name)
        return self.mems.get(mem)

    def join(self, name: str) -> None:
        """One more membership of whoever has what is under the address."""
        row = self.legacy.pop(name)
        pending = next(one for one in self.pendings.values() if one["email"] == row["email"])
        self.make(row["mem"], self.has(pending), live=True)

    # -- what a provider tells -----------------------------------------------------------------------------------

    def bought(self, mem: str, email: str, at: int) -> None:
        row = self.find(mem)
        if row is not None and row["deleted"] is not None and at <= row["deleted"]:
            return
        if row is None or row["holder"] is None:
            if row is not None and row["deleted"] is None and self.is_older(row, at, purchase=True):
                return
            holder = self.holder_at(email)
            if holder is None:
                holder = self.wait(email)["id"]
            row = row or self.make(mem, holder)
            row["holder"] = holder
            row["live"] = row["live"] and row["deleted"] is None
        elif self.is_older(row, at, purchase=True):
            row["email"] = row["email"] or email
            return
        if not row["live"] or row["start"] is None or row["start"] + MONTH <= at:
            row["start"] = at
        self.follow_the_buyer(row, email)
        row |= {"live": True, "at": at, "deleted": None, "email": email}

    def follow_the_buyer(self, row: Row, email: str) -> None:
        pending = self.pendings.get(row["holder"])
        if (
            pending is None
            or pending["claimed_by"]
            or row["email"] in (None, email)
            or pending["email"] != row["email"]
        ):
            return
        holder = self.holder_at(email)
        if holder is None:
            pending["email"] = email
        else:
            row["holder"] = holder

    @staticmethod
    def is_older(row: Row, at: int, *, purchase: bool) -> bool:
        if row["at"] is None:
            return False
        if at == row["at"]:
            return purchase and not row["live"]
        return bool(at < row["at"])

    def ended(self, mem: str, at: int) -> None:
        row = self.find(mem)
        if row is None or row["holder"] is None or self.is_older(row, at, purchase=False):
            return
        row |= {"live": False, "at": at}

    def canceled(self, mem: str, at: int) -> None:
        row = self.find(mem)
        if row is not None and row["holder"] is not None and not self.is_older(row, at, purchase=False):
            row["at"] = at

    # -- what people do ------------------------------------------------------------------------------------------

    def signs_in(self, user: str, verified: list[str], looked_at: list[str]) -> None:
        self.verified |= dict.fromkeys(verified, user)
        if user in self.profiles:
            self.profiles[user]["email"] = verified[0]
        reached = False
        for email in looked_at:
            pending = self.waiting(user, email)
            if pending is None or pending["claimed_by"] not in (None, user):
                continue
            reached = True
            if pending["claimed_by"] == user:
                continue
            if user in self.profiles and self.pays(user):
                self.note(user, pending["id"])
            else:
                self.merge(user, pending, verified[0])
        if not reached:
            self.profiles.setdefault(user, {"email": verified[0]})

    def staff_merges(self, user: str, own_email: str | None, pending: Row, kept: Mapping[str, str]) -> None:
        """`kept`: where another side than the rule's was chosen."""
        profile = self.profiles.get(user)
        own = profile["email"] if profile else own_email
        email = pending["email"] if own is None or kept.get("email") == "purchase" else own
        chosen = kept.get("counts")
        best = self.serving(self.held(pending["id"] if chosen == "purchase" else user)) if chosen else None
        if best is not None and best is not self.serving([*self.held(pending["id"]), *self.held(user)]):
            best["preferred"] = self.now
        self.merge(user, pending, email)

    def merge(self, user: str, pending: Row, email: str | None) -> None:
        made = user not in self.profiles
        moved = [row["mem"] for row in self.held(pending["id"])]
        listed = {extra for extra in self.extras if extra[1] == pending["id"]}
        merge = {"user": user, "pending": pending["id"], "made": made}
        self.merges.append(merge | {"moved": moved, "listed": listed, "in_force": True})
        self.extras -= listed
        self.profiles[user] = {"email": email}
        for mem in moved:
            self.mems[mem]["holder"] = user
        pending["claimed_by"] = user

    def may_undo(self, number: int) -> bool:
        merge = self.merges[number]
        if not merge["in_force"] or merge["pending"] is None or merge["user"] not in self.profiles:
            return False
        if any(later["in_force"] and later["user"] == merge["user"] for later in self.merges[number + 1 :]):
            return False
        return all(self.mems[mem]["holder"] == merge["user"] for mem in merge["moved"])

    def undo(self, number: int, used_since: int, by_hand: int) -> None:
        """Whoever used credits of a claim that made their account, or got some by hand, keeps the account with them."""
        merge = self.merges[number]
        merge["in_force"] = False
        for mem in merge["moved"]:
            self.mems[mem] |= {"holder": merge["pending"], "preferred": None}
        holds = self.held(merge["user"]) or self.given_to(merge["user"])
        if merge["made"] and not holds and not used_since and not by_hand:
            del self.profiles[merge["user"]]
        self.pendings[merge["pending"]]["claimed_by"] = None
        self.extras |= merge["listed"]

    def may_move(self, mem: str, target: str | int) -> bool:
        row = self.mems[mem]
        if row["deleted"] is not None or row["holder"] == target:
            return False
        if isinstance(target, int):
            return target in self.pendings and not self.pendings[target]["claimed_by"]
        return True

    def move(self, mem: str, target: str | int, own_email: str | None, *, is_back: bool) -> None:
        row = self.mems[mem]
        if isinstance(target, str):
            self.profiles.setdefault(target, {"email": own_email})
        row |= {"holder": target, "moved_from": None if is_back else row["holder"], "preferred": None}

    def give(self, user: str, number: int, until: int | None, own_email: str | None) -> None:
        self.profiles.setdefault(user, {"email": own_email})
        self.given[number] = {"holder": user, "live": True, "until": until}

    def end_given(self) -> None:
        for row in self.given.values():
            row["live"] = row["live"] and (row["until"] is None or row["until"] > self.now)

    def delete(self, pending_id: int) -> None:
        for row in self.held(pending_id):
            row |= {"holder": None, "deleted": self.now}
        del self.pendings[pending_id]
        self.extras = {extra for extra in self.extras if extra[1] != pending_id}
        self.noted.discard(pending_id)

    def note(self, user: str, pending_id: int) -> None:
        if pending_id not in self.noted:
            self.noted.add(pending_id)
            self.extras.add((user, pending_id))
