"""Drift: what we hold beside what a provider holds, and what people decide about the difference.

Owns `drift_runs` and `drift_findings`.
Others call what is named here; `drift_runs` is a comparison from start to end, `drift_sides` what can be compared
with, `drift_resolving` and `drift_settling` what people decide and what is done about it, `drift_subscriptions` what
is compared of a subscription.
"""

from admin_app.services.drift.findings import (
    NOTED,
    PROVIDERS,
    RECORD,
    Compared,
    Difference,
    Ours,
    Progress,
    Side,
    Taken,
    Thing,
    Unreadable,
    Values,
    in_short,
    left_open,
    missing_there,
    note,
    note_repaired,
    settle,
    take_in,
    text_of,
)

__all__ = [
    "NOTED",
    "PROVIDERS",
    "RECORD",
    "Compared",
    "Difference",
    "Ours",
    "Progress",
    "Side",
    "Taken",
    "Thing",
    "Unreadable",
    "Values",
    "in_short",
    "left_open",
    "missing_there",
    "note",
    "note_repaired",
    "settle",
    "take_in",
    "text_of",
]
