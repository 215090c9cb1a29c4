"""The one session that a request reads by: who asks is looked up in it, and so is what the page shows."""

from contextlib import ExitStack, suppress
from typing import TypeVar

import psycopg
from flask import g
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from admin_app.errors import NotFound
from models.base import Base
from views.backdesk import backdesk

Row = TypeVar("Row", bound=Base)


def read_session() -> Session:
    """This request's session; PostgreSQL refuses writes in it."""
    if "read_session" not in g:
        g.reads_open = ExitStack()
        g.read_session = g.reads_open.enter_context(backdesk().db.read_only())
    found: Session = g.read_session
    return found


def known(model: type[Row], key: object, otherwise: str) -> Row:
    """The row with this primary key, read by this request's session; NotFound with the sentence `otherwise` if none."""
    row = read_session().get(model, key)
    if row is None:
        raise NotFound(otherwise)
    return row


def close_read_session(_error: BaseException | None = None) -> None:
    """Give its connection back; before a unit of work, because one request needs one connection at a time."""
    g.pop("read_session", None)
    reads_open = g.pop("reads_open", None)
    if reads_open is not None:
        # What was read is read; a connection that died since is not given back, and the next request takes another.
        with suppress(SQLAlchemyError, psycopg.Error):
            reads_open.close()
