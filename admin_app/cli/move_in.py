"""`flask legacy inspect | plan | import | verify | undo`: bringing an earlier system over and proving it."""

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from admin_app.cli.operator import database, refusals_as_sentences, work
from admin_app.context import Job
from admin_app.integrations.earlier import Source, open_source
from admin_app.services.move_in import comparing, files, importing, indexes, inspecting, making, mapping, undoing
from admin_app.services.move_in.mapping import NOTICES, SENTENCES, MoveMap, Notice
from admin_app.services.move_in.matching import matched
from admin_app.services.move_in.side_by_side import SHOWN
from admin_app.services.move_in.writing import Counts

COMMAND = "flask legacy"
SOURCE = click.option(
    "--source", "address", required=True, envvar="LEGACY_DATABASE_URL",
    help="The earlier system's database: postgresql://…?schema=… or mysql://… (MariaDB as well). It is only read.",
)  # fmt: skip
SYSTEM = click.option("--system", help="Which of the earlier systems, where the database has several.")
MAPPING = click.option(
    "--mapping", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The mapping that `flask legacy plan` made, as you edited it.",
)  # fmt: skip
# A mapping is to be read before anything is brought over or compared.
NEEDED = click.option(
    "--mapping", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
    help="The mapping that `flask legacy plan` made, as you edited it.",
)  # fmt: skip


@click.command("inspect")
@SOURCE
@SYSTEM
@MAPPING
@click.option("--keys", type=click.Path(dir_okay=False, path_type=Path), help="Write all rows in the way to this file.")
@with_appcontext
@refusals_as_sentences
def inspect(address: str, system: str | None, file: Path | None, keys: Path | None) -> None:
    """What is there, and everything that stands in the way, with counts; nothing is changed anywhere.

    Ends with status 1 while something stands in the way.
    """
    with closing(open_source(address)) as source:
        plan = matched(_mapping(source, file, system), source.tables())
        click.echo(f"The earlier system {plan.system} is there.\n")
        for line in _columns([("Table", "Goes to", "Rows"), *_counted(source, plan)]):
            click.echo(line)
        _show_unread(plan)
        click.echo()
        count = 0
        with work(COMMAND) as ctx:
            writer = _keys_file(keys)
            for one in inspecting.look(ctx, source=source, mapping=plan):
                for found in one.found:
                    count += _show(found, plan)
                    writer((one.table, *row) for row in inspecting.keys(ctx, found, to=one.to))
        open_points = mapping.undecided(plan)
        for point in open_points:
            click.echo(f"To decide: {point}")
    if count or open_points:
        raise click.ClickException(
            f"{count} rules are broken by rows, and {len(open_points)} points have to be decided."
        )
    click.echo("Nothing stands in the way.")


def _counted(source: Source, plan: MoveMap) -> list[tuple[str, str, str]]:
    return [
        (
            f"{table.name} with {table.join.table}" if table.join else table.name,
            table.to,
            f"{source.count(table.name):,}",
        )
        for table in plan.tables
    ]


def _show_unread(plan: MoveMap) -> None:
    unread = inspecting.unread(plan)
    if unread:
        click.echo("\nColumns that are not read:")
        for line in unread:
            click.echo(f"  {line}")
    for line in inspecting.read_as(plan):
        click.echo(f"  {line}")
    for name, why in plan.left_tables.items():
        click.echo(f"  the table {name}: {'not decided' if why == mapping.UNDECIDED else why}")


def _show(found: inspecting.InTheWay, plan: MoveMap) -> bool:
    """One thing that was found; whether it stands in the way."""
    if isinstance(found.rule, Notice):
        decided, sentence, word = "", NOTICES[found.rule], f"{found.rule.value}, comes over as it is"
    else:
        decided, sentence, word = plan.decided(found.rule), SENTENCES[found.rule], found.rule.value
        word += "" if decided == mapping.REFUSE else f", decided: {decided}"
    click.echo(f"{found.rows:>9,}  {found.table}, our {found.ours}: {sentence} ({word})")
    if found.values:
        click.echo(f"{'':>9}  for example: {', '.join(found.values)}")
    return decided == mapping.REFUSE


def _keys_file(path: Path | None) -> Callable[[Iterator[tuple[str, ...]]], None]:
    if path is None:
        return lambda rows: None
    path.write_text("table,key,rule\n", encoding="utf-8")

    def write(rows: Iterator[tuple[str, ...]]) -> None:
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)

    return write


@click.command("plan")
@SOURCE
@SYSTEM
@click.option(
    "--to", "target", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write."
)
@with_appcontext
@refusals_as_sentences
def plan(address: str, system: str | None, target: Path) -> None:
    """Write the mapping: which column becomes which of ours, and what you have to decide."""
    if target.exists():
        raise click.ClickException(
            f"{target} is there already. Name another file: what you decided is not overwritten."
        )
    with closing(open_source(address)) as source:
        made = _mapping(source, None, system)
        target.write_text(files.written(made, where=source.where), encoding="utf-8")
    points = mapping.undecided(made)
    click.echo(f"Written to {target}. {len(points)} points have to be decided in it.")
    for point in points:
        click.echo(f"  {point}")


@click.command("import")
@SOURCE
@NEEDED
@click.option(
    "--batch",
    type=click.IntRange(100, 200_000),
    default=importing.BATCH,
    show_default=True,
    help="Rows in each transaction.",
)
@click.option("--verify", "proves", is_flag=True, help="Compare both sides when all is brought over.")
@with_appcontext
@refusals_as_sentences
def bring_over(address: str, file: Path, batch: int, proves: bool) -> None:
    """Bring over what is new or changed since the last time; may be stopped and run again at any time.

    A large table's first import takes a fraction of the time while nobody else is at the product's database.
    """
    text = file.read_text(encoding="utf-8")
    read = files.read(text)
    with closing(open_source(address)) as source:
        with work(COMMAND) as ctx:
            run_id = importing.start(ctx, source=source, mapping=read, file=text)
            alone = indexes.is_alone(ctx)
        if not alone:
            click.echo(OTHERS, err=True)
        began = time.monotonic()
        last: dict[str, Counts] = {}
        steps = importing.bring_over(lambda: work(COMMAND), source=source, mapping=read, run_id=run_id, batch=batch)
        for step in steps:
            last[step.table] = step.counts
            rate = sum(counts.read for counts in last.values()) / max(0.1, time.monotonic() - began)
            click.echo(f"{step.table}: {step.counts.read:,} read, {rate:,.0f} a second", err=True)
            if step.is_read and not step.done:
                click.echo(f"{step.table}: all of it is read, and is now written at once", err=True)
        _show_counts(last)
        if proves:
            _prove(source, read, None)
    if not proves:
        click.echo("Now compare both sides: flask legacy verify.")


OTHERS = (
    "Others are at the product's database, so each row's place in every index is found while they work. The first "
    "import of a large table takes a fraction of the time while web servers and workers are stopped."
)


def _show_counts(last: dict[str, Counts]) -> None:
    click.echo()
    for line in _columns([HEAD, *(_line(table, counts) for table, counts in last.items())]):
        click.echo(line)
    for table, counts in last.items():
        if counts.conflicts:
            click.echo(
                f"Changed on both sides, and left as they are here: {table} {', '.join(counts.conflicts[:20])}"
                + (f" and {len(counts.conflicts) - 20} more" if len(counts.conflicts) > 20 else "")
            )


HEAD = ("Table", "Read", "New", "Changed", "As before", "Left behind", "Gone there", "Changed on both sides")


def _line(table: str, counts: Counts) -> tuple[str, ...]:
    numbers = (
        counts.read,
        counts.new,
        counts.changed,
        counts.unchanged,
        counts.left,
        counts.gone,
        len(counts.conflicts),
    )
    return (table, *(f"{number:,}" for number in numbers))


@click.command("verify")
@SOURCE
@NEEDED
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Keep the whole comparison in this file."
)
@with_appcontext
@refusals_as_sentences
def verify(address: str, file: Path, report: Path | None) -> None:
    """Compare both sides: rows, sums, times, digests; ends with status 1 and the keys where they differ."""
    with closing(open_source(address)) as source:
        _prove(source, files.read(file.read_text(encoding="utf-8")), report)


def _prove(source: Source, read: MoveMap, report: Path | None) -> None:
    lines: list[str] = []
    agrees = True
    product = database()  # another thread has no application
    with work(COMMAND) as ctx:
        lines.append(f"Compared at {ctx.now:%Y-%m-%d %H:%M:%S} UTC with {source.where}")
        for one in comparing.compare(
            ctx, source=source, mapping=read, helper=lambda: product.unit_of_work(Job(COMMAND))
        ):
            agrees = agrees and one.agrees
            lines += _compared(one)
    for line in lines:
        click.echo(line)
    if report is not None:
        report.write_text("\n".join([*lines, ""]), encoding="utf-8")
    if not agrees:
        raise click.ClickException("Both sides are not the same.")
    click.echo("\nBoth sides are the same.")


def _compared(one: comparing.Compared) -> Iterator[str]:
    yield f"\n{one.table} → {one.to}"
    rows = [("", "There", "Here", "")]
    rows += [(line.what, line.theirs, line.ours, "" if line.agrees else "DIFFERS") for line in one.lines]
    same = one.checksum_theirs == one.checksum_ours
    rows.append(("checksum", one.checksum_theirs[:12], one.checksum_ours[:12], "" if same else "DIFFERS"))
    yield from _columns(rows)
    for what, keys in (
        ("Other than there", one.differing), ("Not brought over", one.not_here), ("Not there any more", one.gone_there)
    ):  # fmt: skip
        if keys:
            more = "" if len(keys) < SHOWN else " and perhaps more"
            yield f"{what}: {', '.join(keys)}{more}"


@click.command("undo")
@click.option("--system", required=True, help="The earlier system that is taken back.")
@click.option("--yes", is_flag=True, help="Do it; without this it is only told what would be taken back.")
@with_appcontext
@refusals_as_sentences
def undo(system: str, yes: bool) -> None:
    """Take an import back, as long as nothing was built on it; else say what was."""
    with database().read_only() as session:
        built = undoing.built_on(session, system=system)
        counted = undoing.counted(session, system=system)
    for table, number in counted.items():
        click.echo(f"{table}: {number:,} records were brought over")
    if built:
        for line in built:
            click.echo(f"  {line}")
        raise click.ClickException("Something was built on what was brought over, so it is not taken back.")
    if not yes:
        click.echo("Nothing was built on them. Run the same with --yes to take them back.")
        return
    with work(COMMAND) as ctx:
        number = undoing.take_back(ctx, system=system)
    click.echo(f"{number:,} records were taken back.")


def _mapping(source: Source, file: Path | None, system: str | None) -> MoveMap:
    if file is not None:
        return files.read(file.read_text(encoding="utf-8"))
    tables = source.tables()
    return making.make(source, making.require_recognised(tables, system), tables)


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


COMMANDS: tuple[Any, ...] = (inspect, plan, bring_over, verify, undo)
