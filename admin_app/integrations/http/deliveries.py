"""What reading signed deliveries shares: bounded time, constant-time comparison, no odd input that raises."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from admin_app.errors import BadSignature, MalformedEvent

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by their names in lower case: HTTP tells no cases apart."""
    return {name.lower(): value for name, value in headers.items()}


def as_bytes(header: str) -> bytes:
    """Header values may hold any character; compare_digest and hmac take bytes, and no odd one may raise."""
    return header.encode("utf-8", "surrogatepass")


def parts(header: str, wanted: str) -> list[str]:
    """The values of this name in `t=…,v1=…`."""
    found = [part.strip().partition("=") for part in header.split(",")]
    return [value for name, _, value in found if name == wanted]


def require_recent(timestamp: str, now: datetime, tolerance_seconds: int) -> None:
    """Accept a moment in unix seconds that is near to now, before or after."""
    if not _TIMESTAMP.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > tolerance_seconds:
        raise BadSignature


def require_match(wanted: bytes, given: list[str]) -> None:
    """Accept when one of the given signatures is the wanted one."""
    matches = [hmac.compare_digest(wanted, as_bytes(signature)) for signature in given]
    if not any(matches):
        raise BadSignature


def hex_digest(key: str, content: bytes) -> bytes:
    """HMAC-SHA-256 of the content in hexadecimal, as bytes to be compared."""
    return hmac.new(as_bytes(key), content, hashlib.sha256).hexdigest().encode()


def require_timestamped(raw: bytes, header: str, key: str, now: datetime, tolerance_seconds: int) -> None:
    """Accept `t=…,v1=…`, where v1 is the hex HMAC-SHA256 of time, full stop and body, with the key as text."""
    timestamps = parts(header, "t")
    if not key or len(timestamps) != 1:
        raise BadSignature
    require_recent(timestamps[0], now, tolerance_seconds)
    require_match(hex_digest(key, as_bytes(timestamps[0]) + b"." + raw), parts(header, "v1"))


def json_object(raw: bytes) -> dict[str, Any]:
    """The body as an object; raises MalformedEvent for anything else."""
    try:
        body = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MalformedEvent from None
    if not isinstance(body, dict):
        raise MalformedEvent
    return body
