"""Rows that are written for those of another table, some thousand at a time, in the order of its key.

Each batch is a transaction of its own, and locks no row that was there before.
"""

from collections.abc import Iterator

from migrations import ops
from migrations.needs import Filled
from migrations.running import noted

BATCH = "{batch}"
# New rows alone are written, which nobody waits for.
SIZE = 5000


def fill(statement: str, table: str, key: str, *, rows: str, called: str) -> None:
    """Run the statement for each batch of the table. It says `{batch}` where it chooses rows of the table, which is
    `called` something there; `rows` is for which of them it writes one, as far as a plan must know."""
    noted(Filled(table, rows, statement))
    if ops.offline():
        ops.execute(statement.replace(BATCH, "true"))
        return
    for batch in _batches(table, key, f"{called}.{key}"):
        ops.execute(statement.replace(BATCH, batch))


def _batches(table: str, key: str, named: str) -> Iterator[str]:
    after = "true"
    while True:
        beyond = f"SELECT {key} FROM {table} WHERE {after} ORDER BY {key} LIMIT {SIZE}"
        found = ops.rows(f"SELECT {key} FROM ({beyond}) AS batch ORDER BY {key} DESC LIMIT 1".replace(":", r"\:"))
        if not found:
            return
        last = found[0][0]
        literal = str(last) if isinstance(last, int) else "'" + str(last).replace("'", "''") + "'"
        yield f"{after.replace(key, named, 1)} AND {named} <= {literal}"
        after = f"{key} > {literal}"
