"""The form of an override or a trial: what is to count, and until when by the clock of whoever fills it in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from admin_app.services.time_zones import time_zones
from models import BillingStatus
from views.console import local_moments
from views.console.viewer import zone_of

FIELDS = ("status", "until", "until_which", "zone")
STATUSES = [("", "Choose…"), *((each.value, each.value.replace("_", " ")) for each in BillingStatus)]


@dataclass(frozen=True)
class BillingForm:
    """What was typed, and the zone in which it was."""

    typed: Mapping[str, str]
    zone: ZoneInfo

    @classmethod
    def of(cls, values: Mapping[str, str], zone: ZoneInfo) -> "BillingForm":
        named = values.get("zone", "")
        typed = {name: values[name] for name in FIELDS if name in values}
        return cls(typed, zone_of(named) if named in time_zones() else zone)

    @property
    def is_sent(self) -> bool:
        return "until" in self.typed or "status" in self.typed

    @property
    def status(self) -> str:
        return self.typed.get("status", "")

    @property
    def until(self) -> datetime | None:
        """The end; none was typed when it is empty, and what cannot be read is refused."""
        text = self.typed.get("until", "").strip()
        if not text:
            return None
        return local_moments.moment(text, self.zone, "until", self.typed.get("until_which", ""))

    @property
    def carried(self) -> dict[str, str]:
        """What the form with the plan takes along, so that it means the same when it is sent."""
        return dict(self.typed) | {"zone": self.zone.key}

    def shown(self, *, has_status: bool) -> dict[str, Any]:
        """What the page's template needs of it."""
        return {
            "wish": self.typed,
            "zone": self.zone.key,
            "statuses": STATUSES if has_status else [],
            "is_twice": local_moments.is_twice(self.typed.get("until", ""), self.zone),
        }
