"""TODO."""

from admin_app.services.appointments.subjects import (
    MODELS,
    OCCUPYING,
    Appointment,
    Kind,
    Model,
    NoSuchAppointment,
    at,
    busy,
    find,
    get,
    lapsed,
    locked,
    of,
    overlapping,
    subject_parts,
    taken,
)

__all__ = [
    "MODELS",
    "OCCUPYING",
    "Appointment",
    "Kind",
    "Model",
    "NoSuchAppointment",
    "at",
    "busy",
    "find",
    "get",
    "lapsed",
    "locked",
    "of",
    "overlapping",
    "subject_parts",
    "taken",
]
