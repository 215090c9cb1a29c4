"""The right name is no proof: an index or constraint counts when it says what ours says."""

import pytest
from alembic.util import CommandError

from tests.migrations import believable_rows
from tests.migrations.journey import Journey

INDEXES = [
    "CREATE INDEX ix_meetings_guest_org_id ON meetings (guest_name)",
    "CREATE INDEX ix_meetings_guest_org_id ON meetings (guest_org_id) WHERE guest_org_id <> ''",
    "CREATE INDEX ix_meetings_guest_org_id ON meetings USING hash (guest_org_id)",
    "CREATE UNIQUE INDEX ix_meetings_guest_org_id ON meetings (guest_org_id)",
]
CONSTRAINTS = {
    "0004": (
        "ALTER TABLE bookings ADD calendly_event_id varchar, ADD CONSTRAINT uq_bookings_calendly_event_id "
        "UNIQUE (calendly_event_id, id)",
        r"uq_bookings_calendly_event_id of bookings says UNIQUE \(calendly_event_id, id\), and Backdesk needs UNIQUE",
    ),
    "0008": (
        "ALTER TABLE profiles ADD CONSTRAINT ck_profiles_status CHECK (status IN ('active', 'inactive', 'paused'))",
        r"ck_profiles_status of profiles says CHECK .*paused.*, and Backdesk needs CHECK",
    ),
    "0011": (
        "ALTER TABLE bookings ADD CONSTRAINT ex_bookings_no_overlap EXCLUDE USING gist (practitioner_id WITH =, "
        "tstzrange(starts_at, ends_at) WITH &&) WHERE (status = 'confirmed')",
        r"ex_bookings_no_overlap of bookings says EXCLUDE .*, and Backdesk needs EXCLUDE .*pending",
    ),
}


def test_an_index_that_says_something_else_is_built_anew(journey: Journey) -> None:
    journey.up("0002")
    definition = "SELECT pg_get_indexdef('ix_meetings_guest_org_id'::regclass)"
    ours = journey.value(definition)
    for statement in INDEXES:
        journey.run("DROP INDEX ix_meetings_guest_org_id")
        journey.run(statement)
        journey.claim_to_be_at("0001")
        journey.up("0002")
        assert journey.value(definition) == ours, statement
    known = journey.value("SELECT 'ix_meetings_guest_org_id'::regclass::oid")
    journey.claim_to_be_at("0001")
    journey.up("0002")
    assert journey.value("SELECT 'ix_meetings_guest_org_id'::regclass::oid") == known


def test_a_name_that_another_table_has(journey: Journey) -> None:
    journey.up("0001")
    journey.run("CREATE INDEX ix_meetings_guest_org_id ON bookings (client_name)")
    with pytest.raises(CommandError, match="The name ix_meetings_guest_org_id is taken by what Backdesk does not need"):
        journey.up("0002")


@pytest.mark.parametrize("revision", CONSTRAINTS)
def test_a_constraint_that_says_something_else_is_refused(journey: Journey, revision: str) -> None:
    statement, sentence = CONSTRAINTS[revision]
    journey.up(f"{int(revision) - 1:04}")
    journey.run(statement)
    with pytest.raises(CommandError, match=sentence):
        journey.up(revision)


def test_a_check_made_while_the_column_was_text(journey: Journey) -> None:
    journey.up("0001")
    journey.run(believable_rows.LEGACY)
    journey.run(
        "ALTER TABLE profiles ALTER COLUMN status TYPE text; "
        "ALTER TABLE profiles ADD CONSTRAINT ck_profiles_status CHECK (status IN ('active', 'inactive'))"
    )
    journey.up("0008")


def test_a_foreign_key_to_another_table_is_replaced(journey: Journey) -> None:
    journey.up("0007")
    journey.run(
        "ALTER TABLE meetings ADD CONSTRAINT fk_meetings_practitioner_id_practitioners FOREIGN KEY (practitioner_id) "
        "REFERENCES clients (id) ON UPDATE CASCADE"
    )
    journey.up("0008")
    defined = (
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'meetings'::regclass AND contype = 'f'"
    )
    assert [row["pg_get_constraintdef"] for row in journey.rows(defined)] == [
        "FOREIGN KEY (practitioner_id) REFERENCES practitioners(id)"
    ]
