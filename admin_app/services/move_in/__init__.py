"""Moving in: the earlier systems' data, read from their own databases, mapped, brought over and proved.

Owns `move_runs` and `moved_rows`. Others call what is listed here. An earlier system is never written to.
"""
