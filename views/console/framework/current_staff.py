"""Who is looking: their name, their role, the zone in which they are shown times, and whether everyone is stopped."""

from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import g
from flask_login import current_user

from admin_app.context import Staff
from admin_app.errors import NotSignedIn
from admin_app.policies.permissions import Permission, allows
from admin_app.services.staff.staff_sessions import StopInForce
from views.console.framework.sign_in import StaffUser


@dataclass(frozen=True)
class Viewer:
    """The signed-in person, as the pages need them."""

    staff: Staff
    name: str
    zone: ZoneInfo
    stop: StopInForce | None = None

    def may(self, permission: Permission) -> bool:
        return allows(self.staff, permission)


def viewer_or_none() -> Viewer | None:
    """The signed-in person of this request, looked up once."""
    if "viewer" not in g:
        user = current_user._get_current_object()
        known = isinstance(user, StaffUser)
        g.viewer = Viewer(user.actor, user.name, zone_of(user.time_zone), user.stop) if known else None
    found: Viewer | None = g.viewer
    return found


def viewer() -> Viewer:
    """The signed-in person; raises NotSignedIn when there is none."""
    found = viewer_or_none()
    if found is None:
        raise NotSignedIn
    return found


@cache
def zone_of(name: str) -> ZoneInfo:
    """The zone of that name; UTC when this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
