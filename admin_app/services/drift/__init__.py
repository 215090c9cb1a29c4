"""Drift: what we hold beside what a provider holds, and what people decide about the difference.

Owns `drift_runs` and `drift_findings`: what a comparison says of one object and leaves behind (`findings`), and what
the plan of a decision says (`plans`). The providers' sides, the runs and the decisions themselves are still beside this
room: `drift_*`. Others call what is named here.
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
