"""An appointment, whether it is a booking or a meeting: found, locked, and told as one story.

Owns no table; it reads and locks rows that the room `bookings` owns.
Others call what is named here, and `timeline` for the story.
"""

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
    lapsed_within,
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
    "lapsed_within",
    "locked",
    "of",
    "overlapping",
    "subject_parts",
    "taken",
]
