"""The form of a flag: from when, until when, what happens then, and who is told before."""

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from admin_app.errors import InvalidInput
from admin_app.services.clients.flags import FlagRequest
from models import FlagName, OnExpiry
from views.console.framework import local_times
from views.console.framework.local_times import LocalForm

STARTS = MappingProxyType({"now": "At once", "later": "Later, from"})
ENDS = MappingProxyType({"at": "At a moment", "back": "When somebody switches it back"})
AT_END = MappingProxyType(
    {OnExpiry.LIFT: "It goes off by itself", OnExpiry.STAY: "It stays on, and the first page asks for a decision"}
)
TELL_BEFORE = MappingProxyType(
    {
        "15": ("15 minutes before", timedelta(minutes=15)),
        "60": ("1 hour before", timedelta(hours=1)),
        "240": ("4 hours before", timedelta(hours=4)),
        "1440": ("1 day before", timedelta(days=1)),
        "4320": ("3 days before", timedelta(days=3)),
    }
)
MISSING = "The form did not arrive whole. Fill it in again."


class FlagForm(LocalForm):
    fields = (
        "starts", "since", "since_which", "ends", "until", "until_which", "on_expiry", "tell_email", "tell_before",
    )  # fmt: skip

    @property
    def is_sent(self) -> bool:
        return "ends" in self.typed or "starts" in self.typed

    def shows_twice(self, field: str) -> bool:
        return local_times.is_twice(self.typed.get(field, ""), self.zone)

    def flag_request(self, flag: FlagName, reason: str) -> FlagRequest:
        """The asked; what is missing or cannot be read is refused, field by field."""
        problems: dict[str, str] = {}
        since = self._since(problems)
        until, on_expiry = self._end(problems)
        tell_email, tell_at = self._telling(until, problems)
        if problems:
            raise InvalidInput(fields=problems)
        return FlagRequest(flag, True, reason, since, until, on_expiry, tell_email, tell_at)

    def _since(self, problems: dict[str, str]) -> datetime | None:
        if self.typed.get("starts") not in STARTS:
            problems["starts"] = "Say from when: at once, or later."
        return self._moment("since", problems) if self.typed.get("starts") == "later" else None

    def _end(self, problems: dict[str, str]) -> tuple[datetime | None, OnExpiry]:
        ends = self.typed.get("ends")
        if ends not in ENDS:
            problems["ends"] = "Say until when: a moment, or until somebody switches it back."
        if ends != "at":
            return None, OnExpiry.LIFT
        at_end = self.typed.get("on_expiry", "")
        if at_end not in [each.value for each in OnExpiry]:
            problems["on_expiry"] = "Say what happens at the end."
            return self._moment("until", problems), OnExpiry.LIFT
        return self._moment("until", problems), OnExpiry(at_end)

    def _telling(self, until: datetime | None, problems: dict[str, str]) -> tuple[str | None, datetime | None]:
        if "tell_email" not in self.typed:
            problems["tell_email"] = MISSING
            return None, None
        email = self.typed["tell_email"].strip() or None
        if email is None:
            return None, None
        before = TELL_BEFORE.get(self.typed.get("tell_before", ""))
        if before is None:
            problems["tell_before"] = "Say how long before the end they are told."
        elif until is not None:
            return email, until - before[1]
        return email, None

    def _moment(self, field: str, problems: dict[str, str]) -> datetime | None:
        try:
            return local_times.moment(self.typed.get(field, ""), self.zone, field, self.typed.get(f"{field}_which", ""))
        except InvalidInput as refused:
            problems.update(refused.fields)
            return None


def shown(sent: FlagForm) -> dict[str, Any]:
    """What `console/clients/flag_fields.html` shows."""
    return {
        "entered": {"tell_before": "60", "on_expiry": OnExpiry.LIFT.value, **sent.typed},
        "zone": sent.zone.key,
        "starts": STARTS,
        "ends": ENDS,
        "at_end": [(each.value, words) for each, words in AT_END.items()],
        "tell_before": [(key, words) for key, (words, _) in TELL_BEFORE.items()],
        "twice": {field for field in ("since", "until") if sent.shows_twice(field)},
    }
