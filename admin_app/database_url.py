"""The database's address, as people have it, in the words of the driver.

An address that served Prisma carries parameters that PostgreSQL's client library does not know, and refuses.
Those that change nothing for us are left out; those that would are refused with a sentence.
"""

from urllib.parse import parse_qsl, urlencode

DRIVER = "postgresql+psycopg"
SCHEMES = {"postgres", "postgresql", DRIVER}
# Sizes and patience of Prisma's own pool, https://www.prisma.io/docs/orm/overview/databases/postgresql
OF_PRISMAS_POOL = {
    "connection_limit",
    "pool_timeout",
    "socket_timeout",
    "statement_cache_size",
    "max_idle_connection_lifetime",
}
OTHER_SCHEMA = (
    "DATABASE_URL names the schema {schema!r}, and Backdesk's tables are in public: take ?schema={schema} away, or use "
    "a database of its own."
)
POOLER = (
    "DATABASE_URL says pgbouncer=true, a pooler that gives each transaction another session, and Backdesk's locks and "
    "time limits belong to the session: give the direct address (Prisma's directUrl) instead."
)


def for_sqlalchemy(url: str) -> str:
    """The same address with the driver named. Raises ValueError, with a sentence, for one that would not do."""
    scheme, colon, rest = url.partition("://")
    if scheme not in SCHEMES or not colon:
        return url
    address, _, query = rest.partition("?")
    given = parse_qsl(query, keep_blank_values=True)
    for name, value in given:
        if name == "schema" and value not in {"", "public"}:
            raise ValueError(OTHER_SCHEMA.format(schema=value))
        if name == "pgbouncer" and value.lower() not in {"", "false", "0"}:
            raise ValueError(POOLER)
    kept = [(name, value) for name, value in given if name not in {"schema", "pgbouncer", *OF_PRISMAS_POOL}]
    return f"{DRIVER}://{address}{'?' + urlencode(kept) if kept else ''}"
