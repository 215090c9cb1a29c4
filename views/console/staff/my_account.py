"""One's own account: where one is signed in, one's password, the zone one is shown times in."""

from types import MappingProxyType
from typing import Any

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from admin_app.errors import DomainError, InvalidInput
from admin_app.policies.permissions import Permission
from admin_app.services import staff
from admin_app.services.core.time_zones import time_zones
from admin_app.services.staff import staff_sessions
from admin_app.services.staff.staff_sessions import Limits
from models import StaffSession
from views.backdesk import backdesk
from views.console.framework.base import ConsoleView, command, console_unit_of_work, page
from views.console.framework.columns import time_text
from views.console.framework.current_staff import Viewer, viewer
from views.console.framework.sign_in import current_session_id
from views.console.framework.user_agents import browser_name

# Larger numbers would not fit the column, and the database would refuse the query.
SESSION = "<int(max=9223372036854775807):session_id>"


class MyAccountView(ConsoleView):
    """Open to everyone who works here; the services see to it that it is about oneself."""

    permissions = MappingProxyType(
        dict.fromkeys(("index", "end_session", "end_others", "password", "time_zone"), Permission.HOME_READ)
    )

    def __init__(self) -> None:
        super().__init__(name="My account", endpoint="my-account", url="/admin/my-account")

    @page("/")
    def index(self) -> ResponseReturnValue:
        person = viewer()
        with console_unit_of_work() as ctx:
            limits = Limits.from_settings(backdesk().settings)
            rows = staff_sessions.list_open(ctx, staff_id=person.staff.id, limits=limits)
        return self.render("console/staff/my_account.html", sessions=[_shown(row, person) for row in rows])

    @page(f"/sessions/{SESSION}/end", methods=("POST",))
    def end_session(self, session_id: int) -> ResponseReturnValue:
        with console_unit_of_work() as ctx:
            staff_sessions.revoke_session(ctx, staff_id=viewer().staff.id, session_id=session_id)
        flash("The session is ended.", "success")
        return redirect(url_for(".index"), 303)

    @page("/sessions/end-others", methods=("POST",))
    def end_others(self) -> ResponseReturnValue:
        with console_unit_of_work() as ctx:
            count = staff_sessions.revoke_all(ctx, staff_id=viewer().staff.id, except_id=current_session_id())
        flash(f"Sessions ended: {count}.", "success")
        return redirect(url_for(".index"), 303)

    @command("/password")
    def password(self) -> ResponseReturnValue:
        if request.method != "POST":
            return self.render("console/staff/my_password.html", problems={}, error=None)
        try:
            _change_password()
        except DomainError as error:
            return self.render("console/staff/my_password.html", problems=error.fields, error=error), error.status
        flash("Your password is changed, and your other sessions are ended.", "success")
        return redirect(url_for(".index"), 303)

    @command("/time-zone")
    def time_zone(self) -> ResponseReturnValue:
        zones = sorted(time_zones())
        if request.method != "POST":
            return self.render("console/staff/my_time_zone.html", zones=zones, problems={})
        try:
            with console_unit_of_work() as ctx:
                member = staff.set_own_time_zone(ctx, time_zone=request.form.get("time_zone", ""))
        except InvalidInput as error:
            return self.render("console/staff/my_time_zone.html", zones=zones, problems=error.fields), error.status
        flash(f"Times are shown in {member.time_zone} from now on.", "success")
        return redirect(url_for(".index"), 303)


def _change_password() -> None:
    new = request.form.get("new_password", "")
    if new != request.form.get("new_password_again", ""):
        sentence = "The two new passwords are not the same. Type the new one again."
        raise InvalidInput(sentence, fields={"new_password_again": sentence})
    with console_unit_of_work() as ctx:
        outcome = staff.change_own_password(
            ctx, current=request.form.get("current_password", ""), new=new, keep_session_id=current_session_id()
        )
    # Raised only after the commit, so that the failure it counted is kept.
    if isinstance(outcome, staff.Refused):
        raise outcome.error


def _shown(row: StaffSession, person: Viewer) -> dict[str, Any]:
    return {
        "id": row.id,
        "here": row.id == current_session_id(),
        "browser": browser_name(row.user_agent),
        "ip": row.ip or "–",
        "signed_in": time_text(row.created_at, person.zone),
        "last_used": time_text(row.last_seen_at, person.zone),
        "ends": time_text(row.expires_at, person.zone),
    }
