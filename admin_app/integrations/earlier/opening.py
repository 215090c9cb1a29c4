"""From an address to a source."""

from urllib.parse import SplitResult, parse_qsl, urlsplit

from admin_app.integrations.earlier.mysql import MySqlSource
from admin_app.integrations.earlier.postgresql import PostgresSource
from admin_app.integrations.earlier.source import Source, SourceRefused

# What tools of earlier systems put into an address and means nothing to a reader.
MEANT_FOR_OTHERS = frozenset(
    {"pgbouncer", "connection_limit", "pool_timeout", "statement_cache_size", "socket_timeout"}
)


def open_source(address: str) -> Source:
    """Connect to `postgresql://…?schema=…` or `mysql://…` (MariaDB as well); raises SourceRefused or SourceFailed."""
    parts = _parts(address)
    wanted = {name: value for name, value in parse_qsl(parts.query) if name not in MEANT_FOR_OTHERS}
    family = parts.scheme.partition("+")[0]
    if family in {"postgres", "postgresql"}:
        schema = wanted.pop("schema", "public")
        return PostgresSource(parts, schema=schema, options=wanted)
    if family in {"mysql", "mariadb"}:
        return MySqlSource(parts, options=wanted)
    raise SourceRefused(
        "The address of the earlier system begins with postgresql:// or mysql:// (MariaDB as well), "
        "for example mysql://reader:password@db.example:3306/bookings."
    )


def _parts(address: str) -> SplitResult:
    """What is wrong with it may be a password: nothing of it is quoted."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise SourceRefused(
            "The address of the earlier system cannot be read: its port is no port, or its user or password holds one "
            "of the signs / ? # [ ] @ : as it is. Write them as %2F %3F %23 %5B %5D %40 %3A."
        ) from None
    return parts
