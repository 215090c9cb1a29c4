"""The worker has the booleans follow the clock at the moments themselves, and tells who is to be told."""

from datetime import timedelta

from sqlalchemy import select

from models import FlagChange, FlagName, SentEmail
from tests.house import House
from tests.jobs.running import RunningWorker, wait_until
from tests.services.clients.flags import PAUSE, add_client, boolean_of, changes, on, turn

AI = FlagName.AI_DISABLED


def test_a_start_an_end_and_a_mail_come_at_their_moments(real_house: House) -> None:
    db = real_house.db
    client, now = add_client(db), db.clock()
    soon, then = now + timedelta(seconds=1), now + timedelta(seconds=5)
    turn(db, client, on(until=then, tell_email="desk@example.com", tell_at=soon))
    turn(db, client, on(flag=AI, since=soon, until=then))
    assert (boolean_of(db, client), boolean_of(db, client, AI)) == (True, False)
    with RunningWorker(real_house):
        wait_until(lambda: boolean_of(db, client, AI))
        wait_until(lambda: [mail.state for mail in real_house.rows(select(SentEmail))] == ["kept"])
        wait_until(lambda: not boolean_of(db, client) and not boolean_of(db, client, AI))
        ended = [(each.lifted_at, each.lifted_by) for each in changes(db, client)]
    assert ended == [(then, "clock")] * 2
    (told,) = real_house.rows(select(FlagChange).where(FlagChange.flag == PAUSE))
    assert soon <= told.told_at
