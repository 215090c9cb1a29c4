"""A table is built anew beside the traffic, with what PostgreSQL can only do under a lock that lasts.

That is a constraint that it cannot add without proving it, or a type for which each row is written anew. A copy of the
table, empty at first, has it from the beginning. A trigger keeps the copy alike for what is
written meanwhile, batches bring what was there, and at the end one change of the catalogue puts the copy in the table's
place. Nobody waits for more than a batch, however large the table is. What cannot be carried over to another table is
looked for first (`stands_against`). The disk needs room for the table a second time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from migrations.refusing import key_of, quoted
from migrations.running import execute, found, insist, offline, rows, run_once, unhurried

BATCH = 2000
# For how long others may wait at once. With the tenth of a second for which they may queue behind a lock that is waited
# for, less than half a second.
SHORT = 0.35
MANY = 10_000
# Where the copy grows, and where the table goes that it replaces: names of tables and indexes stay what they are.
ANEW, BEFORE = "backdesk_anew", "backdesk_before"
MIRROR = "backdesk_mirror"
# Whatever depends on the table and is not a part of it that is made again below.
HANGING = """
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
  JOIN pg_class t ON t.oid = to_regclass(:table)
  LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
  LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
  LEFT JOIN pg_class o ON d.classid = 'pg_class'::regclass AND o.oid = d.objid
  LEFT JOIN pg_type y ON d.classid = 'pg_type'::regclass AND y.oid = d.objid
 WHERE ((d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid)
        OR (d.refclassid = 'pg_type'::regclass AND d.refobjid = t.reltype))
   AND d.classid <> 'pg_attrdef'::regclass
   AND c.conrelid IS DISTINCT FROM t.oid AND NOT coalesce(c.contype = 'f' AND c.confrelid = t.oid, false)
   AND NOT coalesce(g.tgisinternal OR g.tgname::text = ANY (:mirrors), false)
   AND (o.oid IS NULL OR o.relkind NOT IN ('i', 't', 'S'))
   AND coalesce(y.typrelid, 0) <> t.oid AND coalesce(y.typelem, 0) <> t.reltype
"""
ITS_WAYS = """
SELECT CASE WHEN t.relrowsecurity THEN 'its row security' WHEN t.relreplident <> 'd' THEN 'its replica identity'
            WHEN t.relpersistence <> 'p' THEN 'that it is unlogged' WHEN t.reltablespace <> 0 THEN 'its tablespace'
            WHEN t.relkind <> 'r' OR t.relispartition OR t.relhassubclass OR EXISTS (
                SELECT FROM pg_inherits WHERE inhrelid = t.oid) THEN 'its partitions or heirs'
            WHEN EXISTS (SELECT FROM pg_constraint WHERE conrelid = t.oid AND contype = 'c' AND NOT convalidated)
            THEN 'a check that is not validated'
            WHEN EXISTS (SELECT FROM pg_constraint f JOIN pg_class o ON o.oid = f.conrelid WHERE f.confrelid = t.oid
                AND f.contype = 'f' AND (f.conrelid = t.oid OR o.relkind <> 'r'))
            THEN 'a foreign key of its own, or of a table with partitions'
            WHEN EXISTS (SELECT FROM pg_publication WHERE puballtables) THEN 'a publication of all tables'
            WHEN NOT has_database_privilege(current_database(), 'CREATE') THEN 'that we may make no schema here' END
  FROM pg_class t WHERE t.oid = to_regclass(:table)
"""
COLUMNS = """
SELECT quote_ident(attname) AS name FROM pg_attribute
 WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
# Foreign keys come last, when the rows are there; checks come with the columns.
CONSTRAINTS = """
SELECT quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition, contype = 'f' AS foreign_key
  FROM pg_constraint WHERE conrelid = to_regclass(:table) AND contype IN ('p', 'u', 'x', 'f') ORDER BY contype, conname
"""
INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
 WHERE i.indrelid = to_regclass(:table) AND i.indisvalid
   AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.conrelid = i.indrelid)
"""
SEQUENCES = """
SELECT quote_ident(s.relname) AS name, quote_ident(a.attname) AS column, a.attidentity <> '' AS own
  FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(:table)
   AND d.deptype IN ('a', 'i')
"""
# Foreign keys of others to this table.
POINTING = """
SELECT conrelid::regclass::text AS table, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition,
       convalidated AS valid
  FROM pg_constraint WHERE confrelid = to_regclass(:table) AND contype = 'f' ORDER BY 1, 2
"""
GRANTS = """
SELECT format('GRANT %s%s ON {copy} TO %s%s', g.privilege_type,
              CASE WHEN a.attname IS NOT NULL THEN format(' (%I)', a.attname) ELSE '' END,
              CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
              CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS statement
  FROM (SELECT NULL::name AS attname, relacl AS acl, relowner AS owner FROM pg_class WHERE oid = to_regclass(:table)
        UNION ALL SELECT a.attname, a.attacl, c.relowner FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                   WHERE a.attrelid = to_regclass(:table) AND NOT a.attisdropped) a
 CROSS JOIN aclexplode(a.acl) g WHERE g.grantee <> a.owner
"""
DEFAULT_GRANTS = """
SELECT DISTINCT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS grantee
  FROM pg_class c CROSS JOIN aclexplode(c.relacl) g WHERE c.oid = to_regclass(:table) AND g.grantee <> c.relowner
"""
ITSELF = """
SELECT quote_ident(pg_get_userbyid(relowner)) AS owner, array_to_string(reloptions, ', ') AS options,
       quote_literal(obj_description(oid, 'pg_class')) AS remark FROM pg_class WHERE oid = to_regclass(:table)
"""


Written = Callable[[str], str]
"""The expression of a column's new value, from that of the earlier one."""


@dataclass(frozen=True)
class Copied:
    """The table with its key and the columns that are written, some of them as another value."""

    table: str
    key: str
    columns: Sequence[str]
    written: Mapping[str, Written] = field(default_factory=dict)

    @property
    def copy(self) -> str:
        return f"{ANEW}.{self.table}"

    def values(self, of: str = "") -> str:
        """Of the earlier row, as the copy has them."""
        return ", ".join(self.written.get(name, str)(f"{of}{name}") for name in self.columns)


def is_large(table: str) -> bool:
    """Whether others would feel it when each row is written anew under a lock."""
    return found(f"SELECT FROM {table} OFFSET {MANY} LIMIT 1")


def stands_against(table: str) -> list[str]:
    """What would be lost, or left with the earlier table, when another comes in its place."""
    asked = f"public.{table}"
    ways = [row[0] for row in rows(ITS_WAYS, table=asked) if row[0]]
    hanging = [str(row[0]) for row in rows(HANGING, table=asked, mirrors=[MIRROR, f"{MIRROR}_all"])]
    keyless = [] if len(key_of(table)) == 1 else ["a key that is not of one column"]
    return [*ways, *hanging, *keyless]


def clear(table: str) -> None:
    """Take away what a run that was cut off left."""
    if offline() or not found("SELECT FROM pg_namespace WHERE nspname IN (:a, :b)", a=ANEW, b=BEFORE):
        return
    execute(f"DROP TRIGGER IF EXISTS {MIRROR} ON public.{table}")
    execute(f"DROP TRIGGER IF EXISTS {MIRROR}_all ON public.{table}")
    execute(f"DROP FUNCTION IF EXISTS {ANEW}.{MIRROR}()")
    for each in rows(POINTING, table=f"public.{table}"):
        if not each.valid:
            with unhurried():
                execute(f"ALTER TABLE {each.table} VALIDATE CONSTRAINT {each.name}")
    for schema in (ANEW, BEFORE):
        execute(f"DROP TABLE IF EXISTS {schema}.{table}; DROP SCHEMA IF EXISTS {schema}")


def with_constraint(table: str, name: str, definition: str) -> None:
    """Bring the table to this constraint. Rows that break it, there or written meanwhile, end in PostgreSQL's error."""
    _rebuild(table, f", CONSTRAINT {name} {definition}", None, {})


def with_type(table: str, column: str, change: str, written: Written) -> None:
    """Bring a column, which is not the key, to another type, by the action `change` of ALTER TABLE."""
    _rebuild(table, "", change, {column: written})


def _rebuild(table: str, constraint: str, change: str | None, written: Mapping[str, Written]) -> None:
    (key,) = key_of(table)
    columns = [row.name for row in rows(COLUMNS, table=f"public.{table}")]
    copied = Copied(table, quoted(key), columns, written)
    clear(table)
    try:
        _make(copied, constraint)
        if change:
            execute(f"ALTER TABLE {copied.copy} {change}")
        execute(_mirror(copied))
        _fill(copied)
        _settle(copied)
        with unhurried(lock_timeout="150ms", statement_timeout="10s"):
            execute("; ".join(_exchange(copied)))
    finally:
        clear(table)


def _make(copied: Copied, constraint: str) -> None:
    table, copy = f"public.{copied.table}", copied.copy
    execute(f"CREATE SCHEMA IF NOT EXISTS {ANEW}; CREATE SCHEMA IF NOT EXISTS {BEFORE}")
    execute(
        f"CREATE TABLE {copy} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED "
        f"INCLUDING IDENTITY INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS{constraint})"
    )
    for each in rows(CONSTRAINTS, table=table):
        if not each.foreign_key:
            execute(f"ALTER TABLE {copy} ADD CONSTRAINT {each.name} {each.definition}")
    for each in rows(INDEXES, table=table):
        head, _, rest = each.definition.partition(" USING ")
        execute(f"{head.partition(' ON ')[0]} ON {copy} USING {rest}")
    _grants(copied)


def _grants(copied: Copied) -> None:
    table, copy = f"public.{copied.table}", copied.copy
    for each in rows(DEFAULT_GRANTS, table=copy):
        execute(f"REVOKE ALL ON {copy} FROM {each.grantee}")
    for each in rows(GRANTS.replace("{copy}", copy), table=table):
        execute(each.statement)
    ((owner, options, remark),) = rows(ITSELF, table=table)
    if options:
        execute(f"ALTER TABLE {copy} SET ({options})")
    # It would hold the copy at the moment in which that is exchanged.
    execute(f"ALTER TABLE {copy} SET (autovacuum_enabled = false)")
    if remark:
        execute(f"COMMENT ON TABLE {copy} IS {remark}")
    if owner != rows("SELECT quote_ident(current_user)")[0][0]:
        execute(f"ALTER TABLE {copy} OWNER TO {owner}")


def _mirror(copied: Copied) -> str:
    """Run as the migrator, so that whoever writes the table needs no right on the copy. A row that was there before
    and is not copied yet comes with its first change; the batches leave it as it is then."""
    key, names = copied.key, ", ".join(copied.columns)
    same = ", ".join(f"{name} = EXCLUDED.{name}" for name in copied.columns if name != key)
    table, called = f"public.{copied.table}", f"{ANEW}.{MIRROR}()"
    return (
        f"CREATE FUNCTION {called} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = pg_catalog, public, pg_temp AS $$\n"
        f"BEGIN\n"
        f"    IF TG_OP = 'TRUNCATE' THEN\n        TRUNCATE {copied.copy};\n        RETURN NULL;\n    END IF;\n"
        f"    IF TG_OP = 'DELETE' THEN\n        DELETE FROM {copied.copy} WHERE {key} = OLD.{key};\n"
        f"        RETURN NULL;\n    END IF;\n"
        f"    IF TG_OP = 'UPDATE' THEN\n        IF NEW.{key} <> OLD.{key} THEN\n"
        f"            DELETE FROM {copied.copy} WHERE {key} = OLD.{key};\n        END IF;\n    END IF;\n"
        f"    INSERT INTO {copied.copy} ({names}) OVERRIDING SYSTEM VALUE VALUES ({copied.values('NEW.')})\n"
        f"        ON CONFLICT ({key}) DO UPDATE SET {same};\n"
        f"    RETURN NULL;\nEND $$; "
        f"CREATE TRIGGER {MIRROR} AFTER INSERT OR UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {called}; "
        f"CREATE TRIGGER {MIRROR}_all AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {called}; "
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {MIRROR}, ENABLE ALWAYS TRIGGER {MIRROR}_all"
    )


def _fill(copied: Copied) -> None:
    """Shared row locks, so that a row is copied as it is and not as it was: who deletes it meanwhile waits for the
    batch and then finds the copied row, too."""
    key, names, after = copied.key, ", ".join(copied.columns), "true"
    while True:
        batch = f"SELECT {key} FROM public.{copied.table} WHERE {after} ORDER BY {key} LIMIT {BATCH}"
        batch_end = rows(f"SELECT quote_literal({key}) FROM ({batch}) AS batch ORDER BY {key} DESC LIMIT 1")
        if not batch_end:
            return
        last = batch_end[0][0]
        execute(
            f"INSERT INTO {copied.copy} ({names}) OVERRIDING SYSTEM VALUE "
            f"SELECT {copied.values()} FROM public.{copied.table} "
            f"WHERE {after} AND {key} <= {last} ORDER BY {key} FOR SHARE ON CONFLICT ({key}) DO NOTHING"
        )
        after = f"{key} > {last}"


def _settle(copied: Copied) -> None:
    """What the copy lacks: foreign keys, statistics, and that every snapshot knows its rows. Whoever began to read
    before the rows were copied would find the table empty; an index that is built concurrently waits for those."""
    copy = copied.copy
    with unhurried():
        execute(f"ANALYZE {copy}")
        for each in rows(CONSTRAINTS, table=f"public.{copied.table}"):
            if each.foreign_key:
                definition = each.definition.removesuffix(" NOT VALID")
                execute(f"ALTER TABLE {copy} ADD CONSTRAINT {each.name} {definition} NOT VALID")
                if definition == each.definition:
                    execute(f"ALTER TABLE {copy} VALIDATE CONSTRAINT {each.name}")

    def wait() -> None:
        run_once(f"DROP INDEX IF EXISTS {ANEW}.{MIRROR}_seen")
        run_once(f"CREATE INDEX CONCURRENTLY {MIRROR}_seen ON {copy} ({copied.key}) WHERE false")

    with unhurried(lock_timeout="30s"):
        insist(wait)
    execute(f"DROP INDEX {ANEW}.{MIRROR}_seen")


def _exchange(copied: Copied) -> Iterator[str]:
    """One transaction that only changes the catalogue. Numbers go on where they were; foreign keys of others bind what
    is written from then on, and are proved again afterwards, by `clear`."""
    table = f"public.{copied.table}"
    pointing = rows(POINTING, table=table)
    locked = dict.fromkeys([*(each.table for each in pointing), copied.copy, table])
    yield f"LOCK TABLE {', '.join(locked)} IN ACCESS EXCLUSIVE MODE"
    yield f"ALTER TABLE {copied.copy} RESET (autovacuum_enabled)"
    ((_, options, _),) = rows(ITSELF, table=table)
    if options:
        yield f"ALTER TABLE {copied.copy} SET ({options})"
    for each in pointing:
        yield f"ALTER TABLE {each.table} DROP CONSTRAINT {each.name}"
    yield f"DROP TRIGGER {MIRROR} ON {table}; DROP TRIGGER {MIRROR}_all ON {table}"
    sequences = rows(SEQUENCES, table=table)
    ours = {row.column: row.name for row in rows(SEQUENCES, table=copied.copy)}
    for each in sequences:
        if not each.own:
            yield f"ALTER SEQUENCE public.{each.name} OWNED BY NONE"
    yield f"ALTER TABLE {table} SET SCHEMA {BEFORE}; ALTER TABLE {copied.copy} SET SCHEMA public"
    for each in sequences:
        if not each.own:
            yield f"ALTER SEQUENCE public.{each.name} OWNED BY {table}.{each.column}"
            continue
        if ours[each.column] != each.name:
            yield f"ALTER SEQUENCE public.{ours[each.column]} RENAME TO {each.name}"
        yield f"SELECT setval('public.{each.name}', last_value, is_called) FROM {BEFORE}.{each.name}"
    for each in pointing:
        definition = each.definition.removesuffix(" NOT VALID")
        yield f"ALTER TABLE {each.table} ADD CONSTRAINT {each.name} {definition} NOT VALID"
