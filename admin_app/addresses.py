"""E-mail addresses: one spelling of each. A domain in letters and the same in its ASCII form (`xn--…`) are one domain.

Kept is the form in letters, which people read. Rows of before, and of other programs, may hold the ASCII form: whoever
looks for an address looks for both.
"""

import unicodedata
from collections.abc import Iterable

import idna
from sqlalchemy import ColumnElement, SQLColumnExpression

ACE_PREFIX = "xn--"


def in_letters(address: str) -> str:
    """The address with its domain in letters (IDNA 2008); what is no valid ASCII form stays as it is written."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{'.'.join(map(_label_in_letters, domain.split('.')))}"


def comparable(address: str) -> str:
    """The form in which two addresses are compared: in letters, in lower case."""
    return in_letters(unicodedata.normalize("NFC", address.strip())).lower()


def spellings(address: str) -> list[str]:
    """The forms in which a row may hold this address: in letters first, then in ASCII where that differs."""
    letters = comparable(address)
    local, at, domain = letters.rpartition("@")
    if domain.isascii():
        return [letters]
    try:
        return [letters, f"{local}{at}{idna.encode(domain).decode('ascii')}"]
    except idna.IDNAError:
        return [letters]


def is_one_of(column: SQLColumnExpression[str] | SQLColumnExpression[str | None], *wanted: str) -> ColumnElement[bool]:
    """The condition that finds rows of any of these addresses, however they are spelled."""
    return column.in_(dict.fromkeys(_flat(map(spellings, wanted))))


def _flat(lists: Iterable[list[str]]) -> Iterable[str]:
    return (each for found in lists for each in found)


def _label_in_letters(label: str) -> str:
    lowered = label.lower()
    if lowered.startswith(ACE_PREFIX):
        try:
            letters = idna.decode(lowered)
            return letters if idna.encode(letters) == lowered.encode("ascii") else label
        except (idna.IDNAError, UnicodeError):
            return label
    # As the ASCII form comes out in lower case, so does what has one.
    return label if label.isascii() else lowered
