"""The form of an override or a trial: what is to count, and until when by the clock of whoever fills it in."""

from datetime import datetime
from typing import Any

from models import BillingStatus
from views.console.framework import local_times
from views.console.framework.local_times import LocalForm

STATUSES = [("", "Choose…"), *((each.value, each.value.replace("_", " ")) for each in BillingStatus)]


class BillingForm(LocalForm):
    fields = ("status", "until", "until_which")

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
        return local_times.moment(text, self.zone, "until", self.typed.get("until_which", ""))

    def shown(self, *, has_status: bool) -> dict[str, Any]:
        """What the page's template needs of it."""
        return {
            "entered": self.typed,
            "zone": self.zone.key,
            "statuses": STATUSES if has_status else [],
            "is_twice": local_times.is_twice(self.typed.get("until", ""), self.zone),
        }
