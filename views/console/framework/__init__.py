"""What every page of the console is made of: lists and filters, pages of records, plans, charts, files, navigation.

A room's page imports this; this knows no room. `base` is the guarded class of every page, `list_specs` and `listing` a
list, `records` the page of one record, `plan_pages` a command that shows its plan before it acts.
"""
