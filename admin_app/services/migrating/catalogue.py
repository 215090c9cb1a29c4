"""What PostgreSQL's catalogue says of the public schema."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

_COLUMNS = text("""
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       CASE WHEN a.attidentity <> '' THEN 'identity' ELSE pg_get_expr(d.adbin, d.adrelid) END
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE c.relnamespace = to_regnamespace('public') AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY c.relname, a.attnum
""")
_LABELS = text("""
SELECT t.typname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
  FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
 WHERE t.typnamespace = to_regnamespace('public') GROUP BY 1 ORDER BY 1
""")
_INDEXES = text("""
SELECT t.relname, i.relname, x.indisvalid AND x.indisready
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
 WHERE t.relnamespace = to_regnamespace('public') ORDER BY 1, 2
""")
_CONSTRAINTS = text("""
SELECT t.relname, c.conname, c.contype::text, c.convalidated, pg_get_constraintdef(c.oid)
  FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
 WHERE t.relnamespace = to_regnamespace('public') AND c.contype IN ('f', 'c') ORDER BY 1, 2
""")


@dataclass(frozen=True)
class ColumnThere:
    """A column as it is: its type as PostgreSQL spells it, its default as SQL or None."""

    type: str
    required: bool
    default: str | None


@dataclass(frozen=True)
class ConstraintThere:
    """A foreign key (`f`) or check (`c`)."""

    table: str
    name: str
    kind: str
    validated: bool
    definition: str


@dataclass(frozen=True)
class Catalogue:
    """Tables with their columns, enums with their labels in order, indexes with whether they are valid, constraints."""

    tables: dict[str, dict[str, ColumnThere]]
    labels: dict[str, list[str]]
    indexes: dict[str, tuple[str, bool]]
    constraints: tuple[ConstraintThere, ...]

    def has(self, table: str, *columns: str) -> bool:
        return {*columns} <= self.tables.get(table, {}).keys() if table in self.tables else False


def read(connection: Connection) -> Catalogue:
    """The tables, types, indexes and constraints that the database has now, read from PostgreSQL's system catalogs."""
    tables: dict[str, dict[str, ColumnThere]] = {}
    for table, name, kind, required, default in connection.execute(_COLUMNS):
        tables.setdefault(table, {})[name] = ColumnThere(kind, required, default)
    return Catalogue(
        tables,
        {name: list(labels) for name, labels in connection.execute(_LABELS)},
        {name: (table, valid) for table, name, valid in connection.execute(_INDEXES)},
        tuple(ConstraintThere(*row) for row in connection.execute(_CONSTRAINTS)),
    )
