"""The rules of DESIGN 5 once more, in plain dictionaries: what the services are compared with.

Written from the rules and not from the services. Only what decides who holds what is modelled; dates are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
MERGED = ("email", "membership", "status", "mem", "credits", "used", "event_at")
CREDITS = 1000


@dataclass
class Model:
    """`given` counts every credit that ever came in; `written_over` those that a direct purchase replaced."""

    pendings: dict[int, Row] = field(default_factory=dict)
    profiles: dict[str, Row] = field(default_factory=dict)
    legacy: dict[str, Row] = field(default_factory=dict)
    merges: list[Row] = field(default_factory=list)
    deleted_at: dict[str, int] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    verified: dict[str, str] = field(default_factory=dict)  # whose each address is by now: whoever signed in last
    extras: set[tuple[str, str | int]] = field(default_factory=set)  # the open worklist: whose, and which
    noted: set[str | int] = field(default_factory=set)  # each purchase comes to the worklist once
    given: int = 0
    written_over: int = 0
    deleted_credits: int = 0
    now: int = 0
    next_pending: int = 0

    # -- finding -------------------------------------------------------------------------------------------------

    def holder_of(self, mem: str) -> Row | None:
        rows = [*self.profiles.values(), *self.pendings.values()]
        found = next((row for row in rows if row["mem"] == mem), None)
        if found is None:
            name = next((n for n, row in self.legacy.items() if row["mem"] == mem), None)
            return self.adopt(name) if name else None
        return found

    def holder_at(self, email: str) -> Row | None:
        owner = self.verified.get(email)
        people = [row for row in self.profiles.values() if row["email"] == email]
        if owner is not None:
            people = [self.profiles[owner]] if owner in self.profiles else []
        if people:
            return max(people, key=lambda row: (row["membership"] == "pro", row["touched"]))
        pending = self.under(email) or self.pending_at(email)
        if pending is not None and pending["claimed_by"]:
            if owner in (None, pending["claimed_by"]) and pending["claimed_by"] in self.profiles:
                return self.profiles[pending["claimed_by"]]
            self.make_room(pending)
        return pending

    def under(self, email: str) -> Row | None:
        return next((row for row in self.pendings.values() if row["email"] == email), None)

    def pending_at(self, email: str) -> Row | None:
        found = self.under(email)
        if found is not None and not found["claimed_by"]:
            return found
        name = next((n for n, row in self.legacy.items() if row["email"] == email), None)
        return (self.adopt(name) if name else None) or found

    def adopt(self, name: str) -> Row | None:
        there = self.under(self.legacy[name]["email"])
        if there is None:
            return self.wait(self.legacy.pop(name))
        if not there["claimed_by"]:
            return None
        self.make_room(there)
        there |= self.legacy.pop(name)
        return there

    def make_room(self, pending: Row) -> None:
        """Its claim stays in force without it, and its account keeps what it got."""
        for merge in self.merges:
            if merge["pending"] == pending["id"]:
                merge["pending"] = None
        empty = {"mem": None, "event_at": None, "membership": "free", "credits": None, "used": None}
        pending |= empty | {"claimed_by": None}
        self.extras = {extra for extra in self.extras if extra[1] != pending["id"]}
        self.noted.discard(pending["id"])

    def wait(self, row: Row) -> Row:
        self.next_pending += 1
        self.pendings[self.next_pending] = row | {"id": self.next_pending, "claimed_by": None}
        return self.pendings[self.next_pending]

    # -- what a provider tells -----------------------------------------------------------------------------------

    def bought(self, mem: str, email: str, at: int) -> None:
        holder = self.holder_of(mem)
        if holder is None and self.deleted_at.get(mem, -1) >= at:
            return
        if holder is None:
            holder = self.holder_at(email)
            if holder is not None and self.gives_way(holder, mem, at):
                return
        if holder is None:
            self.given += CREDITS
            self.wait(self.pro(mem, at) | {"email": email, "credits": CREDITS, "used": 0})
        elif not self.is_older(holder, mem, at, purchase=True):
            self.credit(holder, mem, at)
        self.known.add(mem)

    def credit(self, holder: Row, mem: str, at: int) -> None:
        if "user_id" in holder:
            if holder["membership"] == "pro" and holder["mem"] not in (None, mem):
                self.note(holder["user_id"], holder["mem"])
            if holder["membership"] != "pro":
                self.given += CREDITS
                self.written_over += holder["credits"]
                holder |= {"credits": CREDITS, "used": 0}
        elif holder["credits"] is None:
            self.given += CREDITS
            holder |= {"credits": CREDITS, "used": 0}
        self.known.add(holder["mem"] or mem)
        holder |= self.pro(mem, at)
        holder["touched"] = self.now

    @staticmethod
    def pro(mem: str, at: int) -> Row:
        return {"mem": mem, "membership": "pro", "status": "active", "event_at": at}

    def gives_way(self, holder: Row, mem: str, at: int) -> bool:
        if holder["mem"] is None:
            return False
        older = holder["event_at"] is not None and at < holder["event_at"]
        known = mem in self.known
        if holder["status"] == "inactive":
            return older and known
        if older != known and "user_id" in holder:
            self.note(holder["user_id"], mem)
        self.known |= {mem} if older else set()
        return older or known

    @staticmethod
    def is_older(holder: Row, mem: str, at: int, *, purchase: bool) -> bool:
        if holder["event_at"] is None or holder["mem"] != mem:
            return False
        if at == holder["event_at"]:
            return purchase and holder["status"] == "inactive"
        return bool(at < holder["event_at"])

    def ended(self, mem: str, at: int) -> None:
        lives = any(row["mem"] == mem for row in self.profiles.values())
        holder = self.holder_of(mem)
        if holder is not None and not self.is_older(holder, mem, at, purchase=False):
            holder |= {"membership": "free", "status": "inactive", "event_at": at, "touched": self.now}
            self.known.add(mem)
        if not lives:
            self.extras = {extra for extra in self.extras if extra[1] != mem}

    # -- what people do ------------------------------------------------------------------------------------------

    def signs_in(self, user: str, verified: list[str], looked_at: list[str], *, one: bool = False) -> None:
        """`one`: of each address one purchase, as a claim has it; a sign-in goes on with the legacy row behind it."""
        self.verified |= dict.fromkeys(verified, user)
        primary = {"email": verified[0]}
        if user in self.profiles:
            self.profiles[user] |= primary
        reached = False
        for email in looked_at:
            while (pending := self.pending_at(email)) is not None and pending["claimed_by"] in (None, user):
                reached = True
                profile = self.profiles.get(user)
                if pending["claimed_by"] == user:
                    break
                if profile is not None and profile["membership"] == "pro":
                    self.note(user, pending["id"])
                    break
                self.merge(user, pending, self.offered(pending) | primary)
                if one:
                    break
        if not reached:
            blank = primary | {"user_id": user, "touched": self.now} | dict.fromkeys(("mem", "event_at"))
            blank |= {"membership": "free", "status": "active", "credits": 0, "used": 0}
            self.profiles.setdefault(user, blank)

    @staticmethod
    def offered(pending: Row) -> Row:
        return {name: pending[name] for name in MERGED}

    def staff_merges(self, user: str, own_email: str | None, pending: Row, kept: Mapping[str, str]) -> None:
        """`kept`: fields for which the other side than the rule's was chosen."""
        profile = self.profiles.get(user)
        values = self.offered(pending)
        own = profile or {"email": own_email}
        if own["email"] and kept.get("email") != "purchase":
            values["email"] = own["email"]
        for name, side in kept.items():
            if side == "profile":
                values[name] = own[name]
        if values["mem"] != pending["mem"]:
            values["event_at"] = own["event_at"]
        self.merge(user, pending, values)

    def merge(self, user: str, pending: Row, values: Row) -> None:
        before = self.profiles.get(user)
        aside = None
        if before and before["membership"] == "pro" and before["mem"] not in (None, values["mem"]):
            aside = (user, before["mem"])
        listed = {extra for extra in self.extras if extra[1] == pending["id"]}
        self.merges.append(
            {
                "user": user,
                "pending": pending["id"],
                "before": before and {name: before[name] for name in MERGED},
                "after": dict(values),
                "replaced": (before["credits"] if before else 0) + pending["credits"] - values["credits"],
                "listed": listed,
                "aside": aside if aside and aside[1] not in self.noted else None,
                "in_force": True,
            }
        )
        self.extras -= listed
        if aside:
            self.note(*aside)
        self.profiles[user] = {"user_id": user, "touched": self.now} | values
        pending["claimed_by"] = user
        self.known |= {mem for mem in (pending["mem"], before and before["mem"]) if mem}

    def may_undo(self, number: int) -> bool:
        merge = self.merges[number]
        if merge["pending"] is None:
            return False
        if not merge["in_force"] or any(
            later["in_force"] and later["user"] == merge["user"] for later in self.merges[number + 1 :]
        ):
            return False
        profile = self.profiles.get(merge["user"])
        former = merge["before"] and merge["before"]["mem"]
        if former and former != merge["after"]["mem"]:
            others = [*self.pendings.values(), *self.profiles.values()]
            if any(row["mem"] == former and self.owner(row) != merge["user"] for row in others):
                return False
        return profile is not None and all(profile[name] == merge["after"][name] for name in MERGED)

    @staticmethod
    def owner(row: Row) -> str | None:
        return row.get("user_id") or row["claimed_by"]

    def undo(self, number: int) -> None:
        merge = self.merges[number]
        merge["in_force"] = False
        if merge["before"] is None:
            del self.profiles[merge["user"]]
        else:
            self.profiles[merge["user"]] |= merge["before"] | {"touched": self.now}
        self.pendings[merge["pending"]]["claimed_by"] = None
        self.extras = self.extras - {merge["aside"]} | merge["listed"]
        if merge["aside"]:
            self.noted.discard(merge["aside"][1])

    def delete(self, pending_id: int) -> None:
        row = self.pendings.pop(pending_id)
        self.deleted_credits += row["credits"]
        self.deleted_at[row["mem"]] = self.now
        self.known.add(row["mem"])
        self.extras = {extra for extra in self.extras if extra[1] != pending_id}
        self.noted.discard(pending_id)

    def note(self, user: str, which: str | int) -> None:
        if which not in self.noted:
            self.noted.add(which)
            self.extras.add((user, which))
