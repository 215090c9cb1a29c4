"""The search for the account that a person means."""

from admin_app.db import Database
from admin_app.services.people import people_search
from tests.services.factories import add_profile, add_user


def test_an_account_is_found_by_part_of_its_name_and_only_legacy_rows_are_left_out(db: Database) -> None:
    add_user(db, "temporary-7", name="Mara Lindqvist")
    add_profile(db, "temp_7", email="mara.lindqvist@example.com")
    with db.read_only() as session:
        assert [found.user_id for found in people_search.find_accounts(session, "lindqvist")] == ["temporary-7"]
