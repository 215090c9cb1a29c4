"""The database's address, as people have it, in the words of the driver.

An address that served Prisma carries parameters that PostgreSQL's client library does not know, and refuses.
Those that change nothing for us are left out; those that would are refused with a sentence.
"""

from urllib.parse import parse_qsl, urlencode

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

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

UNREADABLE = (
    "DATABASE_URL cannot be read. It looks like postgresql://user:password@host:5432/name, without quotes around it; "
    "signs as / ? # [ ] @ : in a password are written as %2F %3F %23 %5B %5D %40 %3A."
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
    made = f"{DRIVER}://{address}{'?' + urlencode(kept) if kept else ''}"
    try:
        make_url(made)
    except (ArgumentError, ValueError):
        # What is wrong with it may be the password: nothing of it is quoted.
        raise ValueError(UNREADABLE) from None
    return made


def of_postgresql(url: str) -> str:
    """As `for_sqlalchemy`; raises ValueError for what is not there, and for what is no address of PostgreSQL's too."""
    if not url:
        raise ValueError("DATABASE_URL is not set. Give the address of the PostgreSQL database.")
    made = for_sqlalchemy(url)
    if not made.startswith(f"{DRIVER}://"):
        raise ValueError(UNREADABLE)
    return made
