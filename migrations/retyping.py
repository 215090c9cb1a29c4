"""Number columns get another size, and no reader or writer feels it however large the table is.

`ALTER COLUMN … TYPE` from 32 to 64 bit writes the whole table anew while nobody may even read it. So each column gets a
twin of the new type: a trigger keeps the twin for what is written meanwhile, batches fill it for what was there, and at
the end one change of the catalogue puts the twin in the column's place. Old code goes on at every step.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from migrations import ops
from migrations.needs import Column, Retyped
from migrations.running import noted

BATCH = 2000
# What hangs on a column beside its default, and what the swap makes anew by itself.
HANGING = """
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
  LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(:table) AND a.attname = ANY (:columns)
   AND d.classid <> 'pg_attrdef'::regclass AND c.contype IS DISTINCT FROM 'n'
   AND NOT coalesce(c.conname, t.tgname, '') = ANY (:known)
"""
GRANTED = """
SELECT a.attname AS name, g.privilege_type AS privilege,
       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS grantee
  FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) g
 WHERE a.attrelid = to_regclass(:table) AND a.attname = ANY (:columns)
"""


@dataclass(frozen=True)
class Numbers:
    """Columns of one table as they must be at the end, and what names them: checks by name, triggers by definition."""

    table: str
    columns: tuple[Column, ...]
    checks: Mapping[str, str] = field(default_factory=dict)
    triggers: Mapping[str, str] = field(default_factory=dict)

    def of_type(self, type_name: str) -> "Numbers":
        columns = tuple(Column(each.name, type_name, each.default, each.required) for each in self.columns)
        return Numbers(self.table, columns, self.checks, self.triggers)


def retype(numbers: Numbers) -> None:
    """Bring the columns to their types, in steps that can each be run again."""
    if ops.rehearsed():
        for each in numbers.columns:
            noted(Retyped(numbers.table, each, known(numbers), replaced=True))
        return
    table, there = numbers.table, ops.columns_of(numbers.table)
    columns = [each for each in numbers.columns if ops.offline() or there[each.name].type != each.type]
    _leave_nothing(numbers, columns)
    if not columns:
        return
    _refuse_what_hangs_on(numbers, columns)
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {twin(each)} {each.type}" for each in columns)
    ops.execute(f"ALTER TABLE {table} {added}")
    ops.execute(_keeping(table, columns))
    _fill(table, columns)
    for each in columns:
        if each.required:
            ops.set_required(table, twin(each))
    twins = {each.name: twin(each) for each in columns}
    for name, expression in numbers.checks.items():
        ops.add_check(table, f"{name}_{columns[0].type}", _renamed(expression, twins))
    for grant in ops.rows(GRANTED, table=table, columns=[*twins]):
        ops.execute(f"GRANT {grant.privilege} ({twins[grant.name]}) ON {table} TO {grant.grantee}")
    ops.execute("; ".join(_swap(numbers, columns)))


def known(numbers: Numbers) -> tuple[str, ...]:
    """What hangs on the columns and is made anew with them."""
    return (*numbers.triggers, *(f"ck_{numbers.table}_{name}" for name in numbers.checks))


def refuse_beyond(numbers: Numbers, most: int) -> None:
    """Stop with a sentence where a value does not fit any more."""
    for each in numbers.columns:
        name = f"{numbers.table}.{each.name}"
        rule = f"Before this revision {name} holds nothing beyond {most}"
        ops.refuse_rows(f"{each.name} NOT BETWEEN {-most} AND {most}", numbers.table, rule)


def twin(column: Column) -> str:
    return f"{column.name}_{column.type}"


def _leave_nothing(numbers: Numbers, columns: Sequence[Column]) -> None:
    """Take away what a run in the other direction left when it was cut off."""
    wanted = {twin(each) for each in columns}
    pattern = re.compile(rf"(?:{'|'.join(each.name for each in numbers.columns)})_(?:integer|bigint)")
    left = [name for name in ops.columns_of(numbers.table) if pattern.fullmatch(name) and name not in wanted]
    if left:
        gone = ", ".join(f"DROP COLUMN {name}" for name in left)
        ops.execute(f"{_stop_keeping(numbers.table)}; ALTER TABLE {numbers.table} {gone}")


def _refuse_what_hangs_on(numbers: Numbers, columns: Sequence[Column]) -> None:
    names = [each.name for each in columns]
    found = ops.rows(HANGING, table=numbers.table, columns=names, known=[*known(numbers)])
    if found:
        raise ops.MigrationRefused(
            f"Of {numbers.table} these columns get another type: {', '.join(names)}. What reads them would be lost: "
            f"{'; '.join(str(row[0]) for row in found)}. Remove it, run again, and make it anew afterwards."
        )


def _keeping(table: str, columns: Sequence[Column]) -> str:
    same = " ".join(f"NEW.{twin(each)} := NEW.{each.name};" for each in columns)
    return (
        f"CREATE OR REPLACE FUNCTION {table}_retyped() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        f"BEGIN\n    {same}\n    RETURN NEW;\nEND $$; "
        f"CREATE OR REPLACE TRIGGER {table}_retyped BEFORE INSERT OR UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_retyped()"
    )


def _stop_keeping(table: str) -> str:
    return f"DROP TRIGGER IF EXISTS {table}_retyped ON {table}; DROP FUNCTION IF EXISTS {table}_retyped()"


def _fill(table: str, columns: Sequence[Column]) -> None:
    """Row by row in the order of `id`, so that no batch looks at what another one has done."""
    same = ", ".join(f"{twin(each)} = {each.name}" for each in columns)
    differs = " OR ".join(f"{twin(each)} IS DISTINCT FROM {each.name}" for each in columns)
    if ops.offline():
        ops.execute(f"UPDATE {table} SET {same} WHERE {differs}")
        return
    for after, until in _batches(table):
        ops.execute(f"UPDATE {table} SET {same} WHERE id > {after} AND id <= {until} AND ({differs})")


def _batches(table: str) -> Iterator[tuple[int, int]]:
    (first,) = ops.rows(f"SELECT min(id) FROM {table}")
    after = None if first[0] is None else first[0] - 1
    while after is not None:
        following = f"SELECT id FROM {table} WHERE id > {after} ORDER BY id LIMIT {BATCH}"
        (last,) = ops.rows(f"SELECT max(id) FROM ({following}) batch")
        if last[0] is not None:
            yield after, last[0]
        after = last[0]


def _renamed(expression: str, names: Mapping[str, str]) -> str:
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), expression)


def _swap(numbers: Numbers, columns: Sequence[Column]) -> Iterator[str]:
    """One transaction that only changes the catalogue: the checks of the old columns go with them."""
    table = numbers.table
    yield f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
    yield _stop_keeping(table)
    for name in numbers.triggers:
        yield f"DROP TRIGGER IF EXISTS {name} ON {table}"
    yield f"ALTER TABLE {table} {', '.join(f'DROP COLUMN {each.name}' for each in columns)}"
    for each in columns:
        yield f"ALTER TABLE {table} RENAME COLUMN {twin(each)} TO {each.name}"
        if each.default is not None:
            yield f"ALTER TABLE {table} ALTER COLUMN {each.name} SET DEFAULT {each.default}"
    for name in numbers.checks:
        yield f"ALTER TABLE {table} RENAME CONSTRAINT ck_{table}_{name}_{columns[0].type} TO ck_{table}_{name}"
    for name, definition in numbers.triggers.items():
        yield f"CREATE TRIGGER {name} {definition}"
