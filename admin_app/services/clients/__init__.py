"""Clients: the flags that stop calls and AI, the gate that reads them, onboarding, and runs over many clients.

Owns `clients`, `onboarding_states`, `flag_changes`, `bulk_runs` and `bulk_items`. The billing columns are derived by
`billing`.
Others call what is named here; `gate` says whether something may be done, `flags` and `emergency` turn it off and on,
`flag_clock`, `flag_periods`, `flag_words`, `flag_following` and `flag_mails` are what a flag is over time,
`onboarding` the two steps, `bulk_runs`, `bulk_work` and `bulk_undo` the runs.
"""

from admin_app.services.clients.now import ClientNow, read

__all__ = ["ClientNow", "read"]
