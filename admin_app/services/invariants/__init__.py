"""What must always be true, one query each: after every command, every delivery in any order, and every fault.

Owns `invariant_findings` and `invariant_checks`, in which the nightly look is kept, and changes nothing else.
Others call what is named here: `flask verify` runs all, `broken` is for everybody else who wants to know, `standing`
for whoever shows it.
"""

from admin_app.services.invariants.checking import BY_NAME, INVARIANTS, ZONES_AGREE, broken, look
from admin_app.services.invariants.findings import Standing, keep, note, standing
from admin_app.services.invariants.rule import COUNTED, PATIENCE, SHOWN, Broken, Invariant

__all__ = [
    "BY_NAME",
    "COUNTED",
    "INVARIANTS",
    "PATIENCE",
    "SHOWN",
    "ZONES_AGREE",
    "Broken",
    "Invariant",
    "Standing",
    "broken",
    "keep",
    "look",
    "note",
    "standing",
]
