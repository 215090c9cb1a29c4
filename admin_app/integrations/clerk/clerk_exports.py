"""Files of Clerk's people: the JSON of its users API or of its command line, and the CSV of its dashboard.

A file is as old as it is: each person is as of their last change where it says one, else as of the export. It also
holds password digests; nothing here reads them.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ijson

from admin_app.errors import InvalidInput
from admin_app.integrations.clerk.clerk_client import read_user
from admin_app.integrations.http import fields
from admin_app.integrations.ports import ClerkEmail, ClerkUser

# What the dashboard's export, https://clerk.com/docs/guides/development/migrating/export-from-clerk, has in any case.
NEEDED = ("id", "primary_email_address", "verified_email_addresses")
# By what a file begins with: where in it the list of people is.
_LISTS = {b"[": "", b"{": "data"}
_BETWEEN = re.compile(r"[|,;\s]+")


def read(path: Path, *, exported_at: datetime | None = None) -> Iterator[ClerkUser]:
    """The people of a file, with `updated_at` as what is said of them was true; InvalidInput for what is none.

    A CSV does not say when it was made, so whoever has it must. One person at a time is in memory.
    """
    try:
        with path.open("rb") as raw:
            begins = raw.read(100).removeprefix(codecs.BOM_UTF8).lstrip()[:1]
        if begins in _LISTS:
            yield from _from_json(path, _LISTS[begins], exported_at)
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield from _from_csv(csv.DictReader(file, restval=""), exported_at)
    except (ijson.JSONError, ValueError, csv.Error):
        raise InvalidInput("This file is neither JSON nor CSV as Clerk exports them.") from None


@contextmanager
def _events(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        yield ijson.parse(file, use_float=True)


def _from_json(path: Path, listed: str, exported_at: datetime | None) -> Iterator[ClerkUser]:
    with _events(path) as events:
        # To its end before anybody is taken from it: a file that is cut off changes nothing.
        if not sum(event == "start_array" and place == listed for place, event, _ in events):
            raise InvalidInput("This JSON holds no list of people.")
    with _events(path) as events:
        yield from _people(ijson.items(events, f"{listed}.item" if listed else "item"), exported_at)


def _people(listed: Iterator[Any], exported_at: datetime | None) -> Iterator[ClerkUser]:
    for item in map(fields.mapping, listed):
        person = read_user(item) if "email_addresses" in item else _flat(item)
        if person is not None:
            yield _dated(person, exported_at)


def _from_csv(lines: "csv.DictReader[str]", exported_at: datetime | None) -> Iterator[ClerkUser]:
    missing = [name for name in NEEDED if name not in (lines.fieldnames or ())]
    if missing:
        raise InvalidInput(f"This CSV has no column {', '.join(missing)}. Use Clerk's own export as it is.")
    for line in lines:
        person = _flat(line)
        if person is not None:
            yield _dated(person, exported_at)


def _dated(person: ClerkUser, exported_at: datetime | None) -> ClerkUser:
    as_of = person.updated_at or exported_at
    if as_of is None:
        raise InvalidInput("This file does not say when it was exported. Say it with --exported-at.")
    return replace(person, updated_at=min(as_of, datetime.now(UTC)))


def _flat(line: Mapping[str, Any]) -> ClerkUser | None:
    """A person with one column for each kind of address; None without an id."""
    identity = fields.text(line.get("id"))
    if identity is None:
        return None
    primary = fields.email(line.get("primary_email_address"))
    verified = _addresses(line.get("verified_email_addresses"))
    names = (fields.text(line.get("first_name")), fields.text(line.get("last_name")))
    return ClerkUser(
        id=identity,
        name=" ".join(filter(None, names)) or None,
        emails=tuple(
            ClerkEmail(address=address, verified=address in verified, primary=address == primary)
            for address in dict.fromkeys([*verified, *([primary] if primary else [])])
        ),
        created_at=fields.moment(line.get("created_at")),
        updated_at=fields.moment(line.get("updated_at")),
        banned=str(line.get("banned", "")).lower() == "true",
    )


def _addresses(stated: Any) -> list[str]:
    """A list, or text with any of the signs between that exports have used."""
    parts = stated if isinstance(stated, list) else _BETWEEN.split(stated) if isinstance(stated, str) else []
    return [address for part in parts if (address := fields.email(part))]
