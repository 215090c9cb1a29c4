"""Staff and programs: who may come in, how they prove it, and what their role is.

Owns `staff`, `staff_sessions`, `sign_in_brakes` and `service_keys`.
Others call the commands named here; `staff_plans` shows them before they act. `staff_sessions` signs in and out,
`service_keys` knows programs, `sign_in_limits` limits how often somebody may guess.
"""

from admin_app.services.staff.staff_members import (
    LastAdmin,
    Refused,
    change_own_password,
    create_staff,
    disable_staff,
    enable_staff,
    find_by_email,
    get_staff,
    list_staff,
    reset_password,
    set_own_time_zone,
    set_role,
    state_of,
)

__all__ = [
    "LastAdmin",
    "Refused",
    "change_own_password",
    "create_staff",
    "disable_staff",
    "enable_staff",
    "find_by_email",
    "get_staff",
    "list_staff",
    "reset_password",
    "set_own_time_zone",
    "set_role",
    "state_of",
]
