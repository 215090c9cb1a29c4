"""What `flask guests backfill` fills into meetings that were brought over: theirs, as far as an import is concerned.

No person changed such a meeting, so a later import still brings it up to date, and leaves the ids of WorkOS alone where
the earlier system does not know them: unless the meeting is another guest's by now.
"""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.orm import Session

from admin_app.services.move_in.catalog import OF
from admin_app.services.move_in.writing import kept

_MEETINGS = OF["meetings"]
_OF_THESE = "m.table_name = 'meetings' AND m.record = o.id::text AND o.id = ANY (:ids)"


def as_left(session: Session, meetings: Collection[int]) -> list[int]:
    """Those that an import brought over and nobody changed since."""
    found = text(f"SELECT o.id FROM meetings o, moved_rows m WHERE {_OF_THESE} AND m.kept = {kept(_MEETINGS, 'o')}")
    return list(session.scalars(found, {"ids": list(meetings)}))


def leave(session: Session, meetings: Collection[int]) -> None:
    """From now on these, as they are, are what an import left."""
    if meetings:
        session.flush()
        session.execute(
            text(f"UPDATE moved_rows m SET kept = {kept(_MEETINGS, 'o')} FROM meetings o WHERE {_OF_THESE}"),
            {"ids": list(meetings)},
        )
