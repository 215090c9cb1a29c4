"""Tables as files, written row by row: CSV and XLSX, with nothing in them that a spreadsheet program would run.

A value is a text, a whole number, a `Decimal` (an amount), a yes or no, a day, or a moment in the reader's zone; the
header says which zone that is. Equal input gives equal bytes.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

import xlsxwriter

Value = str | int | Decimal | bool | date | datetime | None

MOST_ROWS: Final = 1_048_576  # of one sheet, the header included
MOST_CHARACTERS: Final = 32_767  # of one cell, counted as Excel counts them: UTF-16
CUT_MARK: Final = " […cut]"
BLOCK_BYTES = 64 * 1024
# Excel counts with 15 digits; a longer number is written as a text, so that none of its digits change.
MOST_EXACT: Final = 15
# Excel's calendar begins in 1900 and is wrong about its first two months.
FIRST_DAY: Final = date(1900, 3, 1)

# What begins a formula, also behind blanks and written full-width. A program that splits at semicolons, or takes a line
# break in a text for the end of the row, sees the beginning of a cell inside of the text as well.
_STARTS_FORMULA = re.compile(r"^(?=\s*[=+\-@＝＋－＠]|[\t\r\n])|(?<=[;\t\r\n])(?=(?:[^\S\t\r\n]|\")*[=+\-@＝＋－＠])")


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Value]]) -> Iterator[bytes]:
    """The table as CSV (RFC 4180: commas, CRLF) in UTF-8 with its mark, which spreadsheet programs go by.

    A text that a program could take for a formula has an apostrophe before it; numbers are left as they are.
    """
    lines = _Lines()
    writer = csv.writer(lines)
    yield b"\xef\xbb\xbf"
    writer.writerow([without_formula(name) for name in header])
    for row in rows:
        writer.writerow([_csv_cell(value) for value in row])
        if lines.size >= BLOCK_BYTES:
            yield lines.taken()
    yield lines.taken()


def without_formula(text: str) -> str:
    """The text so that no spreadsheet program takes it for a formula."""
    return _STARTS_FORMULA.sub("'", text)


class _Lines:
    """What the CSV writer has written since it was last taken."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self.size = 0

    def write(self, line: str) -> None:
        self._lines.append(line)
        self.size += len(line)

    def taken(self) -> bytes:
        found = "".join(self._lines).encode()
        self._lines.clear()
        self.size = 0
        return found


def _csv_cell(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case date():
            return value.isoformat()
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case _:
            return without_formula(value)


def xlsx_bytes(header: Sequence[str], rows: Iterable[Sequence[Value]], *, created: datetime) -> Iterator[bytes]:
    """The table as XLSX, made on the disk and then read in blocks; what does not fit a sheet goes to the next one.

    Texts are texts whatever they look like, and moments are real dates in the reader's zone. A text that is too long
    for a cell is cut, with a mark. `created` is told in the file's properties.
    """
    with TemporaryDirectory(prefix="backdesk-xlsx-") as place:
        path = f"{place}/table.xlsx"
        with xlsxwriter.Workbook(path, {"constant_memory": True, "tmpdir": place}) as book:
            # Properties hold no zone; a fixed one makes the bytes the same wherever they are made.
            book.set_properties({"created": created.astimezone(UTC).replace(tzinfo=None), "author": "Backdesk"})
            _Sheets(book, header).write(rows)
        with open(path, "rb") as file:
            yield from blocks(file)


def _is_exact(value: int | Decimal) -> bool:
    return len((value if isinstance(value, Decimal) else Decimal(value)).as_tuple().digits) <= MOST_EXACT


def blocks(file: IO[bytes], size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The rest of an open file, in blocks of that many bytes."""
    while block := file.read(size):
        yield block


class _Sheets:
    """Sheet by sheet and row by row: a row that was left is on the disk already."""

    def __init__(self, book: Any, header: Sequence[str]) -> None:
        self._book = book
        self._header = header
        self._bold = book.add_format({"bold": True})
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._day = book.add_format({"num_format": "yyyy-mm-dd"})

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        sheet, number = self._begun(), 1
        for row in rows:
            if number == MOST_ROWS:
                sheet, number = self._begun(), 1
            for column, value in enumerate(row):
                self._write_cell(sheet, number, column, value)
            number += 1

    def _begun(self) -> Any:
        sheet = self._book.add_worksheet()
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, max(len(self._header) - 1, 0), 20)
        for column, name in enumerate(self._header):
            sheet.write_string(0, column, fitted(name), self._bold)
        return sheet

    def _write_cell(self, sheet: Any, row: int, column: int, value: Value) -> None:
        match value:
            case None | "":
                return
            case bool():
                sheet.write_string(row, column, "yes" if value else "no")
            case datetime() if value.date() >= FIRST_DAY:
                sheet.write_datetime(row, column, value.replace(tzinfo=None), self._moment)
            case date() if not isinstance(value, datetime) and value >= FIRST_DAY:
                sheet.write_datetime(row, column, value, self._day)
            case int() | Decimal() if _is_exact(value):
                sheet.write_number(row, column, value)
            case str():
                sheet.write_string(row, column, fitted(value))
            case _:
                sheet.write_string(row, column, _csv_cell(value))


def fitted(text: str) -> str:
    """The text as far as a cell holds it."""
    # No character takes more than two units, so a shorter text need not be counted.
    if len(text) * 2 <= MOST_CHARACTERS or _units(text) <= MOST_CHARACTERS:
        return text
    room = MOST_CHARACTERS - _units(CUT_MARK)
    kept = text.encode("utf-16-le")[: room * 2].decode("utf-16-le", errors="ignore")
    return kept + CUT_MARK


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
