"""Backdesk. Every process of the product imports this first, so here is said where time zones come from.

Python would read the zone files of the machine before the `tzdata` that is pinned with us, and the same appointment
would be at another hour on another machine. See docs/decisions/0079-one-table-of-zones.md.
"""

import zoneinfo

zoneinfo.reset_tzpath(to=())
# What was read before this from the machine's files.
zoneinfo.ZoneInfo.clear_cache()
