"""What hangs on a column, so that its type cannot change or it cannot go, and is not of our own making."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from migrations import running
from migrations.needs import Retyped

MADE = re.compile(r"CREATE (?:OR REPLACE )?(?:TRIGGER|POLICY|(?:UNIQUE )?INDEX(?: CONCURRENTLY)?) (\w+)")
Ours = frozenset[str]

# Objects beside the column's own default, the table's constraints and plain indexes: these go with it, or are made anew
# with it by PostgreSQL itself.
HANGING = """
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS what,
       coalesce(t.tgname, p.polname, i.relname, c.conname)::text AS name, d.classid::regclass::text AS kind
  FROM pg_depend d
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
  LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
  LEFT JOIN pg_class i ON d.classid = 'pg_class'::regclass AND i.oid = d.objid AND i.relkind = 'i'
  LEFT JOIN pg_index x ON x.indexrelid = i.oid AND (x.indpred IS NOT NULL OR x.indexprs IS NOT NULL)
  LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
  LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(:table) AND a.attname = :column
   AND CASE d.classid
       WHEN 'pg_attrdef'::regclass THEN f.adnum <> a.attnum
       WHEN 'pg_class'::regclass
       THEN x.indexrelid IS NOT NULL OR d.objid = a.attrelid OR (:replaced AND i.oid IS NOT NULL)
       WHEN 'pg_constraint'::regclass THEN c.conrelid <> a.attrelid OR (:with_rules AND c.contype IN ('c', 'f'))
       ELSE true END
   AND (t.tgname IS NULL OR NOT t.tgisinternal)
"""


def made_by(statements: Iterable[str]) -> Ours:
    """Names of the triggers, policies and indexes that these statements of our revisions make."""
    return frozenset(name for sql in statements for name in MADE.findall(sql))


def of_retyped(need: Retyped, ours: Ours, *, another_kind: bool) -> list[str]:
    """What speaks against another type: views, policies, triggers, generated columns, partial indexes, functions; for
    another kind of value also checks and foreign keys, which compare it with values of the kind it was; for another
    column in its place all of these and every index."""
    found = _hanging(need.table, need.column.name, with_rules=another_kind or need.replaced, replaced=need.replaced)
    # A run that was killed while a column became required leaves its check; the next one finishes and drops it.
    unfinished = f"ck_{need.table}_{need.column.name}_required"
    return [row.what for row in found if row.name not in {*need.known, *ours, unfinished}]


def of_dropped(table: str, column: str, ours: Ours) -> list[str]:
    """What keeps a column from going: indexes go with it."""
    found = [row for row in _hanging(table, column) if row.kind != "pg_class" or row.name is None]
    return [row.what for row in found if row.name not in ours]


def _hanging(table: str, column: str, *, with_rules: bool = False, replaced: bool = False) -> Sequence[Any]:
    return running.rows(HANGING, table=f"public.{table}", column=column, with_rules=with_rules, replaced=replaced)
