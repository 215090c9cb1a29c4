"""Clients: what the business's own programs are shown of one, and what is written about their flags.

Reads `clients` and `onboarding_states` as they are by the clock (`now`); composes the mail about the end of a flag
(`switch_letters`). Flags, the gate, onboarding and bulk runs are still beside this room. Others call what is named.
"""

from admin_app.services.clients.now import ClientNow, read

__all__ = ["ClientNow", "read"]
