"""The providers that can be compared with, as this installation is configured."""

from collections.abc import Callable, Mapping
from datetime import datetime

from admin_app.integrations.registry import Providers
from admin_app.services.drift import Side
from admin_app.services.drift.drift_calcom import CalcomSide
from admin_app.services.drift.drift_calendly import CalendlySide
from admin_app.services.drift.drift_stripe import StripeSide
from admin_app.services.drift.drift_whop import WhopSide


def sides(providers: Providers, clock: Callable[[], datetime]) -> Mapping[str, Side]:
    """Each by the provider's name; one that is not configured is left out."""
    found: dict[str, Side] = {}
    if providers.stripe is not None:
        found["stripe"] = StripeSide(providers.stripe, clock)
    if providers.whop is not None:
        found["whop"] = WhopSide(providers.whop, clock)
    if providers.calendly is not None:
        found["calendly"] = CalendlySide(providers.calendly, clock)
    if providers.calcom is not None:
        found["calcom"] = CalcomSide(providers.calcom, providers.calcom_accounts, clock)
    return found
