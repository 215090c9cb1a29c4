"""The mapping as a file that people read and edit: TOML, with what may be said beside each thing to decide."""

from collections.abc import Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from admin_app.errors import InvalidInput
from admin_app.services.core.time_zones import time_zones
from admin_app.services.move_in.catalog import OF, PUT_TOGETHER, SYSTEMS
from admin_app.services.move_in.mapping import (
    BETWEEN_ROWS,
    LEAVE,
    REFUSE,
    REPAIRS,
    SENTENCES,
    UNDECIDED,
    ColumnMap,
    JoinMap,
    MoveMap,
    Rule,
    TableMap,
    Unit,
)

MOST_MINUTES = 24 * 60
HEAD = f"""How the earlier system's columns become ours. Made by `flask legacy plan`; edit it, and give it to
`flask legacy inspect` and `import`. "{UNDECIDED}" has to be decided before anything is imported.

A column: to = "our column", or left = "why it is left behind". A time without a zone: zone = "Europe/Berlin".
Money: unit = "minor" (cents) or "major" (90.50). Labels: {{ theirs = "ours" }}, or "" for none of ours: then the
decision about unknown_label counts. A column may go to several of
ours: [{{ to = "starts_at" }}, {{ to = "ends_at", plus = 60 }}], where plus is minutes.
values: what our columns get that the source does not have. A table of the source may fill several of ours.
join: where another table says more of each row, as {{ table = "User", on = "userId", to = "id" }}: the row's userId
says which User it is, by its id. Its columns are called "User.name" and so on. Several columns may go to one name."""


def written(mapping: MoveMap, *, where: str) -> str:
    """The file's text."""
    file = tomlkit.document()
    for line in HEAD.splitlines():
        file.add(tomlkit.comment(line) if line else tomlkit.nl())
    file.add(tomlkit.nl())
    file.add("system", tomlkit.item(mapping.system).comment(f"read from {where}"))
    file.add("currency", tomlkit.item(mapping.currency).comment("of amounts whose row says none"))
    file.add("decisions", _decisions(mapping))
    file.add("left_tables", _left(mapping))
    tables = tomlkit.table(is_super_table=True)
    for table in mapping.tables:
        tables.add(table.to, _table(table))
    file.add("tables", tables)
    return tomlkit.dumps(file)


def _decisions(mapping: MoveMap) -> Any:
    part = tomlkit.table()
    for rule in Rule:
        others = "".join(f", {name} ({what})" for name, what in REPAIRS.get(rule, {}).items())
        behind = "behind, all but one" if rule in BETWEEN_ROWS else "behind"
        meant = f"{SENTENCES[rule]}. May be: {REFUSE}, {LEAVE} ({behind}){others}"
        part.add(rule.value, tomlkit.item(mapping.decided(rule)).comment(meant))
    return part


def _left(mapping: MoveMap) -> Any:
    part = tomlkit.table()
    part.comment("tables that are none of ours, and why they are left behind")
    for name, why in mapping.left_tables.items():
        part.add(name, why)
    return part


def _table(table: TableMap) -> Any:
    part = tomlkit.table()
    part.add("from", table.name)
    part.add("key", table.key)
    if table.join is not None:
        joined = tomlkit.inline_table()
        for name, said in (("table", table.join.table), ("on", table.join.on), ("to", table.join.to)):
            joined.add(name, said)
        part.add("join", joined)
    values = tomlkit.inline_table()
    for name, given in table.values.items():
        values.add(name, given)
    lacking = [each.ours for each in table.entity.fields if not table.filling(each.ours)]
    part.add("values", tomlkit.item(values).comment(f"may say: {', '.join(lacking)}" if lacking else "nothing lacks"))
    columns = tomlkit.table()
    for name in dict.fromkeys(column.name for column in table.columns):
        there = [column for column in table.columns if column.name == name]
        columns.add(name, _written_column(there).comment(there[0].type))
    part.add("columns", columns)
    return part


def _written_column(there: Sequence[ColumnMap]) -> Any:
    if len(there) == 1:
        return _column(there[0])
    several = tomlkit.array()
    for column in there:
        several.append(_column(column))
    return several


def _column(column: ColumnMap) -> Any:
    part = tomlkit.inline_table()
    if column.left is not None:
        part.add("left", column.left)
    else:
        part.add("to", column.to or UNDECIDED)
    if column.zone:
        part.add("zone", column.zone)
    if column.plus != 0:
        part.add("plus", UNDECIDED if column.plus is None else column.plus)
    if column.unit:
        part.add("unit", column.unit.value)
    if column.labels:
        labels = tomlkit.inline_table()
        for theirs, ours in column.labels.items():
            labels.add(theirs, ours)
        part.add("labels", labels)
    return part


def read(text: str) -> MoveMap:
    """A mapping from its file; raises InvalidInput with the place that is not right."""
    try:
        file = tomlkit.parse(text).unwrap()
    except TOMLKitError as wrong:
        raise InvalidInput(f"The mapping is no TOML file: {wrong}.") from wrong
    system = _text(file, "system", "the mapping")
    if system not in {each.name for each in SYSTEMS}:
        raise InvalidInput(f"The mapping's system is none that we know: {system!r}.")
    tables = tuple(_read_table(name, part) for name, part in _part(file, "tables").items())
    decisions = {_rule(name): _decision(_rule(name), said) for name, said in _part(file, "decisions").items()}
    left = {name: str(why) for name, why in _part(file, "left_tables").items()}
    return MoveMap(system, tables, _text(file, "currency", "the mapping").lower(), decisions, left)


def _read_table(to: str, part: Any) -> TableMap:
    if to not in OF:
        raise InvalidInput(f"The mapping fills {to!r}, which is none of our tables.")
    known = {each.ours for each in OF[to].fields}
    columns = []
    for name, said in _part(part, "columns").items():
        for each in said if isinstance(said, list) else [said]:
            columns.append(_read_column(f"{to}.columns.{name}", name, each, known))
    targets = [column.to for column in columns if column.to and column.to not in PUT_TOGETHER]
    twice = sorted({target for target in targets if targets.count(target) > 1})
    if twice:
        raise InvalidInput(f"In tables.{to} several columns go to our {', '.join(twice)}.")
    values = {column: str(given) for column, given in _part(part, "values").items()}
    if unknown := sorted(values.keys() - known):
        raise InvalidInput(f"tables.{to} gives values for {', '.join(unknown)}, which is none of our columns.")
    where = f"tables.{to}"
    join = _read_join(part, where)
    return TableMap(_text(part, "from", where), to, _text(part, "key", where), tuple(columns), values, join)


def _read_join(part: Any, where: str) -> JoinMap | None:
    if "join" not in part:
        return None
    said, there = _part(part, "join"), f"{where}.join"
    return JoinMap(_text(said, "table", there), _text(said, "on", there), _text(said, "to", there))


def _read_column(where: str, name: str, said: Any, known: set[str]) -> ColumnMap:
    if not isinstance(said, dict):
        raise InvalidInput(f"{where} is written as {{ to = … }} or {{ left = … }}.")
    to, left = said.get("to"), said.get("left")
    if to not in {None, UNDECIDED} and to not in known:
        raise InvalidInput(
            f"{where} goes to {to!r}, which is none of our columns. There are: {', '.join(sorted(known))}."
        )
    zone = said.get("zone")
    if zone not in {None, UNDECIDED} and zone not in time_zones():
        raise InvalidInput(f"{where} says the zone {zone!r}, which there is not.")
    unit = said.get("unit")
    if unit is not None and unit not in list(Unit):
        raise InvalidInput(f"{where} says the unit {unit!r}; it is minor or major.")
    plus = said.get("plus", 0)
    plus = None if plus == UNDECIDED else plus
    if plus is not None and (not isinstance(plus, int) or not 0 <= plus <= MOST_MINUTES):
        raise InvalidInput(f"{where} says plus = {plus!r}; it is a number of minutes, of at most a day.")
    labels = {str(theirs): str(ours) for theirs, ours in (said.get("labels") or {}).items()}
    target = None if to == UNDECIDED or left is not None else to
    return ColumnMap(name, str(said.get("type", "")), target, left, zone, Unit(unit) if unit else None, labels, plus)


def _rule(name: str) -> Rule:
    if name not in list(Rule):
        raise InvalidInput(f"The decision {name!r} is about nothing that we know.")
    return Rule(name)


def _decision(rule: Rule, said: Any) -> str:
    allowed = [REFUSE, LEAVE, *REPAIRS.get(rule, {})]
    if said not in allowed:
        raise InvalidInput(f"The decision about {rule.value} is {said!r}; it may be {', '.join(allowed)}.")
    return str(said)


def _part(file: Any, name: str) -> dict[str, Any]:
    found = file.get(name, {})
    if not isinstance(found, dict):
        raise InvalidInput(f"{name} of the mapping is no table of TOML.")
    return found


def _text(file: Any, name: str, where: str) -> str:
    found = file.get(name)
    if not isinstance(found, str):
        raise InvalidInput(f"In {where} {name!r} is missing, or no text.")
    return found
