"""The ids that earlier systems knew our records by."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.move_in import MovedRow

MOST = 20


def records_called(session: Session, earlier_id: str) -> dict[str, str]:
    """The records that an earlier system knew by this id: their keys by table, the first where there are several."""
    if earlier_id.isdecimal():
        return {}  # it was kept
    found = (
        select(MovedRow.table_name, MovedRow.record)
        .where(MovedRow.source_key == earlier_id, MovedRow.record.is_not(None))
        .order_by(MovedRow.table_name, MovedRow.system)
        .limit(MOST)
    )
    records: dict[str, str] = {}
    for table, record in session.execute(found):
        records.setdefault(table, str(record))
    return records
