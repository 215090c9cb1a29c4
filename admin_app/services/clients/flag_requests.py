"""What somebody asks of a flag, and whether that can be asked at all."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from email_validator import EmailNotValidError, validate_email

from admin_app.errors import InvalidInput
from admin_app.services.core.plans import require_reason
from models.clients import FlagName, OnExpiry

# A run over many clients comes to some of them after the moment that was asked for: it begins at once, then.
MOST_LATE = timedelta(days=1)
_MOMENTS = ("since", "until", "tell_at")


@dataclass(frozen=True)
class FlagRequest:
    """Turn `flag` on, from `since` (None: at once) until `until` (None: until somebody switches it back), or off.

    `tell_email` is written to at `tell_at`, before it ends. Moments are aware.
    """

    flag: FlagName
    turns_on: bool
    reason: str
    since: datetime | None = None
    until: datetime | None = None
    on_expiry: OnExpiry = OnExpiry.LIFT
    tell_email: str | None = None
    tell_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        moments = {name: getattr(self, name) for name in _MOMENTS}
        return {
            "flag": self.flag.value,
            "turns_on": self.turns_on,
            "reason": self.reason,
            "on_expiry": self.on_expiry.value,
            "tell_email": self.tell_email,
            **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "FlagRequest":
        moments = {name: datetime.fromisoformat(kept[name]) if kept.get(name) else None for name in _MOMENTS}
        return cls(
            flag=FlagName(kept["flag"]),
            turns_on=kept["turns_on"],
            reason=kept["reason"],
            on_expiry=OnExpiry(kept.get("on_expiry", OnExpiry.LIFT)),
            tell_email=kept.get("tell_email"),
            **moments,
        )

    def starts_at(self, now: datetime) -> datetime:
        return self.since if self.since is not None and self.since > now else now


def checked(asked: FlagRequest, now: datetime, *, needs_reason: bool = True) -> FlagRequest:
    """The asked as it is kept; refused with a sentence per field when it cannot be meant."""
    if needs_reason:
        asked = replace(asked, reason=require_reason(asked.reason))
    if any((moment := getattr(asked, name)) is not None and moment.tzinfo is None for name in _MOMENTS):
        raise InvalidInput("A time without its time zone was given. Name the zone.")
    # Python compares times of one zone by the clock on the wall, which shows some moments twice a year.
    asked = replace(asked, **{name: moment.astimezone(UTC) for name in _MOMENTS if (moment := getattr(asked, name))})
    if not asked.turns_on:
        return _off(asked)
    problems = _problems(asked, now)
    if problems:
        raise InvalidInput(fields=problems)
    starts = asked.starts_at(now)
    later = starts > now
    return replace(
        asked,
        since=starts if later else None,
        on_expiry=asked.on_expiry if asked.until else OnExpiry.LIFT,
        tell_email=_address(asked.tell_email) if asked.tell_email else None,
        # Nobody is told of the end of what has not begun.
        tell_at=max(asked.tell_at, starts) if asked.tell_at and later else asked.tell_at,
    )


def _off(asked: FlagRequest) -> FlagRequest:
    if any(getattr(asked, name) is not None for name in _MOMENTS):
        raise InvalidInput("Switching off happens at once and has no dates. To end it later, give it an end date.")
    return replace(asked, on_expiry=OnExpiry.LIFT, tell_email=None)


def _problems(asked: FlagRequest, now: datetime) -> dict[str, str]:
    problems = {}
    starts = asked.starts_at(now)
    if asked.since is not None and asked.since < now - MOST_LATE:
        problems["since"] = "That start is long past. Let it start now, or choose a moment that is still to come."
    if asked.until is not None and asked.until <= now:
        problems["until"] = "That end is past already. Choose a moment that is still to come."
    elif asked.until is not None and asked.until <= starts:
        problems["until"] = "It would end before it starts. Choose a later end."
    if asked.until is None and asked.on_expiry is OnExpiry.STAY:
        problems["on_expiry"] = "Without an end date nothing happens at the end. Give an end date."
    return problems | _problems_of_telling(asked, now)


def _problems_of_telling(asked: FlagRequest, now: datetime) -> dict[str, str]:
    if asked.tell_email is None and asked.tell_at is None:
        return {}
    if asked.until is None:
        return {"tell_email": "Without an end date nobody can be told before it ends. Give an end date."}
    if asked.tell_email is None:
        return {"tell_email": "Say who is to be told: write an e-mail address."}
    if asked.tell_at is None:
        return {"tell_at": "Say when they are to be told."}
    problems = {}
    if _address(asked.tell_email) is None:
        problems["tell_email"] = "This is not an e-mail address. Write it like name@example.com."
    if asked.tell_at >= asked.until:
        problems["tell_at"] = "They would be told after it ended. Choose an earlier moment."
    elif asked.tell_at < now - MOST_LATE:
        problems["tell_at"] = "That moment is long past. Choose one that is still to come."
    return problems


def _address(text: str) -> str | None:
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError:
        return None
