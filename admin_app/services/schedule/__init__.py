"""TODO."""

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
