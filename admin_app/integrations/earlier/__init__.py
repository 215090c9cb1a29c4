"""The database of an earlier system, PostgreSQL, MySQL or MariaDB, read and never written.

`open_source(address)` gives a `Source`. Whatever the server, its rows come as text, one line each, in the form that
PostgreSQL's COPY takes, so that one language, SQL on our side, converts and checks what every one of them says.
"""

from admin_app.integrations.earlier.opening import open_source
from admin_app.integrations.earlier.source import (
    Family,
    Source,
    SourceColumn,
    SourceFailed,
    SourceJoin,
    SourceRefused,
    SourceTable,
    joined,
    rows_of,
)

__all__ = [
    "Family",
    "Source",
    "SourceColumn",
    "SourceFailed",
    "SourceJoin",
    "SourceRefused",
    "SourceTable",
    "joined",
    "open_source",
    "rows_of",
]
