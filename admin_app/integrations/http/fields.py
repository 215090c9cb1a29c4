"""Reading single values out of foreign JSON: each gives a clean value or None, and never raises."""

import math
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from admin_app.addresses import in_letters
from admin_app.bounds import LAST_YEAR, is_reachable

# What PostgreSQL text cannot hold (NUL, lone surrogates) and what has no place in one line of text.
_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_EMAIL = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\".]+")
# Beyond the last year a number is milliseconds.
_LATEST_SECONDS = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp()
_LONGEST = 500


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """The text without spaces around it and without what PostgreSQL cannot store, cut to 500; None when empty."""
    if not isinstance(value, str):
        return None
    return _UNSTORABLE.sub("", value).strip()[:_LONGEST] or None


def identity(value: Any) -> str | None:
    """A number or text that names something, as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def email(value: Any) -> str | None:
    """An address as it was written, composed as keyboards do it, its domain in letters; None for what cannot be one."""
    address = text(value)
    if address is None or len(address) > 254 or not _EMAIL.fullmatch(address):
        return None
    if address.isascii():
        return in_letters(address)
    return None if any(map(_turns_into_ascii, address)) else in_letters(unicodedata.normalize("NFC", address))


def _turns_into_ascii(sign: str) -> bool:
    """Whether lower case makes another mailbox's letter of it, as it makes a k of the Kelvin sign."""
    return not sign.isascii() and unicodedata.normalize("NFC", sign).lower().isascii()


def flag(value: Any) -> bool | None:
    """The value if it is true or false, else None."""
    return value if isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """The finite number that it is, or that it spells; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def moment(value: Any) -> datetime | None:
    """ISO 8601 text, unix seconds or unix milliseconds."""
    seconds = number(value)
    if seconds is not None:
        if abs(seconds) > _LATEST_SECONDS:
            seconds /= 1000
        return datetime.fromtimestamp(seconds, UTC) if 0 < seconds <= _LATEST_SECONDS else None
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if not is_reachable(parsed):
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
