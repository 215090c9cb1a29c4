"""Native enum types: exactly our labels, in our order, or a sentence."""

from collections.abc import Sequence

from migrations.needs import Labels
from migrations.running import MigrationRefused, execute, found, noted, rows


def create_enum(name: str, *labels: str) -> None:
    """A native enum with exactly these labels, in this order."""
    if noted(Labels(name, labels)):
        return
    if found("SELECT WHERE to_regtype(:name) IS NOT NULL", name=f"retired.{name}"):
        execute(f"ALTER TYPE retired.{name} SET SCHEMA public")
    there = labels_of(name)
    if not there:
        listed = ", ".join(f"'{label}'" for label in labels)
        execute(f"CREATE TYPE {name} AS ENUM ({listed})")
        return
    sentence = unlike(name, there, labels)
    if sentence:
        raise MigrationRefused(sentence)
    for place, label in enumerate(labels):
        if label not in there:
            beside = f"AFTER '{labels[place - 1]}'" if place else f"BEFORE '{there[0]}'"
            execute(f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS '{label}' {beside}")


def labels_of(name: str) -> list[str]:
    """In the order of the type; none where there is no enum of that name."""
    return [row[0] for row in rows(
        "SELECT enumlabel::text FROM pg_enum WHERE enumtypid = to_regtype(:name) ORDER BY enumsortorder",
        name=f"public.{name}",
    )]  # fmt: skip


def unlike(name: str, there: Sequence[str], labels: Sequence[str]) -> str | None:
    """Why an enum that exists cannot be ours; labels that it lacks are no reason, they are added in their place."""
    unknown = [label for label in there if label not in labels]
    if unknown:
        return (
            f"The type {name} has labels that Backdesk does not know: {', '.join(unknown)}. It knows "
            f"{', '.join(labels)}. Rename a label that means one of these (ALTER TYPE {name} RENAME VALUE "
            f"'{unknown[0]}' TO '…'), or change the rows and make the type anew without it."
        )
    if there != [label for label in labels if label in there]:
        return (
            f"The labels of the type {name} stand in another order ({', '.join(there)}), and lists are sorted by it. "
            f"Make the type anew in this order: {', '.join(labels)}."
        )
    return None
