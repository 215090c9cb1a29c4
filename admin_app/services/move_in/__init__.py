"""Moving in: the earlier systems' data, read from their own databases, mapped, brought over and proved.

Owns `move_runs` and `moved_rows`. An earlier system is never written to.
Others call `inspecting`, `making`, `mapping`, `files`, `matching`, `importing`, `comparing` and `undoing`, which are
the steps of `flask legacy`, and `indexes`, `writing` and `side_by_side`, which say how it goes; `guest_backfill`,
`guest_import` and `guest_organizations`, which are those of `flask guests`; and `earlier_ids`, by which the search
finds what people know by its earlier id.
"""
