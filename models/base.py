"""The declarative base, the naming convention and the column types that every model shares."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Enum, Identity, Index, MetaData, literal_column, text
from sqlalchemy.dialects.postgresql import CITEXT, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of all tables: moments are `timestamptz`, dicts and lists `jsonb`; NAMING names the constraints."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


BigId = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
Email = Annotated[str, mapped_column(CITEXT)]
OptionalEmail = Annotated[str | None, mapped_column(CITEXT)]
Flag = Annotated[bool, mapped_column(server_default=text("false"))]
CreatedAt = Annotated[datetime, mapped_column(server_default=text("now()"))]
Version = Annotated[int, mapped_column(server_default=text("1"))]
Count = Annotated[int, mapped_column(server_default=text("0"))]
# Minor units of a currency. 32 bit end at 21,474,836.47, and earlier where a currency has small units.
Money = Annotated[int, mapped_column(BigInteger)]
OptionalMoney = Annotated[int | None, mapped_column(BigInteger)]
MoneyFromZero = Annotated[int, mapped_column(BigInteger, server_default=text("0"))]


def text_enum(kind: type[StrEnum], name: str) -> Enum:
    """An enum kept as text with a named CHECK, so that a value can be added without a type migration."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


def search_index(name: str, expression: str) -> Index:
    """A trigram index, for search by any part; brackets as PostgreSQL writes them back, or drift cannot show."""
    return Index(
        name,
        literal_column(expression).label("searched"),
        postgresql_using="gin",
        postgresql_ops={"searched": "gin_trgm_ops"},
    )
