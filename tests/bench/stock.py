"""Stock Flask-Admin 2.2 on the same tables: a ModelView with the same columns, as its documentation shows it."""

from decimal import Decimal
from typing import Any

from flask import Flask
from flask_admin import Admin
from flask_admin.contrib.sqla import ModelView
from flask_sqlalchemy import SQLAlchemy
from markupsafe import Markup, escape
from sqlalchemy.orm import Mapped, registry, relationship

import models

_mapped = registry(metadata=models.Base.metadata)


class Practitioner:
    name: Mapped[str]

    def __str__(self) -> str:
        return str(self.name)


class SessionType:
    title: Mapped[str]

    def __str__(self) -> str:
        return str(self.title)


class Booking:
    """The product's table under the relationships that SQLAlchemy makes by itself."""


# The product's own models refuse lazy loading, which stock Flask-Admin's record pages need.
_mapped.map_imperatively(Practitioner, models.Practitioner.__table__)
_mapped.map_imperatively(SessionType, models.SessionType.__table__)
_mapped.map_imperatively(
    Booking,
    models.Booking.__table__,
    properties={"practitioner": relationship(Practitioner), "session_type": relationship(SessionType)},
)


def _price(_view: ModelView, _context: Any, row: Any, _name: str) -> Markup:
    return escape(f"{Decimal(row.price_amount) / 100:.2f} {row.price_currency}")


class BookingView(ModelView):  # type: ignore[misc]
    page_size = 50
    can_view_details = True
    column_display_pk = True
    column_list = (
        *("id", "starts_at", "practitioner", "session_type", "client_name", "client_email", "status", "price_amount"),
    )
    column_sortable_list = ("id", "starts_at")
    column_default_sort = ("starts_at", True)
    column_searchable_list = ("client_email",)
    column_filters = ("status",)
    column_formatters = {"price_amount": _price}


def create_app(database_url: str) -> Flask:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "only for the benchmark, which nobody signs in to"
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "connect_args": {"prepare_threshold": None, "options": "-c timezone=UTC"}
    }
    database = SQLAlchemy(app)
    admin = Admin(app, name="Stock")
    admin.add_view(BookingView(Booking, database, endpoint="bookings"))
    return app
