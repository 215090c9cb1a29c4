"""TODO."""

from admin_app.services.guests.guest_registration import (
    Outcome,
    Registered,
    register,
    register_existing,
)

__all__ = [
    "Outcome",
    "Registered",
    "register",
    "register_existing",
]
