"""What must always be true, one query each: after every command, every delivery in any order, and every fault.

Owns no table and changes nothing. `flask verify` runs all; `broken` is for everybody else who wants to know.
"""

from admin_app.services.invariants.checking import INVARIANTS, broken
from admin_app.services.invariants.rule import PATIENCE, SHOWN, Broken, Invariant

__all__ = ["INVARIANTS", "PATIENCE", "SHOWN", "Broken", "Invariant", "broken"]
