"""Practitioners, session types and working hours: what is sold, by whom, and when.

Owns `practitioners` and `session_types`.
Others call the commands named here, by the forms of `schedule_forms`; `availability` says what is free,
`working_hours` and `working_time` when somebody works, `calendly_mapping` what is what at Calendly, `week_calendar`
what is in a week.
"""

from admin_app.services.schedule.schedule_changes import (
    StaleForm,
    change_practitioner,
    change_session_type,
    create_practitioner,
    create_session_type,
    plan_practitioner_use,
    plan_session_type_use,
    practitioner_form,
    session_type_form,
    set_practitioner_use,
    set_session_type_use,
)

__all__ = [
    "StaleForm",
    "change_practitioner",
    "change_session_type",
    "create_practitioner",
    "create_session_type",
    "plan_practitioner_use",
    "plan_session_type_use",
    "practitioner_form",
    "session_type_form",
    "set_practitioner_use",
    "set_session_type_use",
]
