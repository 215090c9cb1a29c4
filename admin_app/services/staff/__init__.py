"""TODO."""

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
