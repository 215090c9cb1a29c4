"""Guests of meetings: known to WorkOS with an organization of their own, and signed in by a code.

Owns `guests` and `organizations`.
Others call `register` and `register_existing`; `guest_resolution` is what support puts right, `guest_sign_in` the
guest's own door.
"""

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
