"""Tables as files: what is written is what is read back, nothing is run, and memory does not grow with the rows."""

import csv
import io
import re
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin_app.services.core import table_files
from admin_app.services.core.table_files import CUT_MARK, MOST_CHARACTERS, Value, csv_bytes, without_formula, xlsx_bytes

BERLIN = ZoneInfo("Europe/Berlin")
CREATED = datetime(2026, 3, 1, tzinfo=UTC)
NS = {"s": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  # a sheet knows no zones


def read_csv(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def read_xlsx(data: bytes) -> list[list[list[str | float | None]]]:
    """The sheets' rows: texts as texts, numbers as numbers; a formula fails the test."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("xl/worksheets/sheet"))
        return [_sheet(archive.read(name)) for name in names]


def _sheet(xml: bytes) -> list[list[str | float | None]]:
    root = ElementTree.fromstring(xml)
    assert root.find(".//s:f", NS) is None
    assert root.find(".//s:hyperlink", NS) is None
    return [_row(row) for row in root.iterfind(".//s:row", NS)]


def _row(row: ElementTree.Element) -> list[str | float | None]:
    found: dict[int, str | float | None] = {}
    for cell in row.iterfind("s:c", NS):
        letters = re.sub(r"\d", "", cell.get("r") or "")
        place = sum((ord(letter) - 64) * 26**power for power, letter in enumerate(reversed(letters))) - 1
        text = "".join(part.text or "" for part in cell.iterfind(".//s:t", NS))
        number = cell.findtext("s:v", namespaces=NS)
        found[place] = float(number) if number is not None else _unescaped(text)
    return [found.get(place) for place in range(max(found, default=-1) + 1)]


def _unescaped(text: str) -> str:
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)


PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", " =", "  @")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_text_is_a_formula(prefix: str) -> None:
    text = f"{prefix}cmd|' /C calc'!A0"
    for table in ((["a"], [[text]]), ([text], [])):
        assert f"'{text}" in [cell for row in read_csv(b"".join(csv_bytes(*table))) for cell in row]
        (sheet,) = read_xlsx(b"".join(xlsx_bytes(*table, created=CREATED)))
        assert text.replace("\r", "\n") in [str(cell).replace("\r", "\n") for row in sheet for cell in row]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x;=1+1", "x;'=1+1"),
        ("x\n@SUM(1)", "x\n'@SUM(1)"),
        ("x; =1+1", "x;' =1+1"),
        ('x;"=1+1"', 'x;\'"=1+1"'),
        ("x\r\n=1", "x\r\n'=1"),
        ("ann@example.com", "ann@example.com"),
        ("a - b", "a - b"),
        ("1=1", "1=1"),
        ("'quoted'", "'quoted'"),
        ("", ""),
    ],
)
def test_a_cell_may_also_begin_within_a_text(text: str, written: str) -> None:
    assert without_formula(text) == written


def test_every_kind_of_value() -> None:
    moment = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    row: list[Value] = [
        'Söhne, "x"',
        -5,
        Decimal("-12.50"),
        True,
        None,
        moment.astimezone(BERLIN),
        date(2026, 3, 1),
        10**17,
    ]
    header = [f"c{number}" for number in range(len(row))]
    later = [(moment + timedelta(hours=1)).astimezone(BERLIN)]
    assert read_csv(b"".join(csv_bytes(header, [row, later])))[1:] == [
        ['Söhne, "x"', "-5", "-12.50", "yes", "", "2026-10-25 02:30:00+02:00", "2026-03-01", "1" + "0" * 17],
        # The same time of day once more, an hour later: the offset tells them apart.
        ["2026-10-25 02:30:00+01:00"],
    ]
    (sheet,) = read_xlsx(b"".join(xlsx_bytes(header, [row], created=CREATED)))
    text, number, amount, yes, nothing, local, day, long = sheet[1]
    assert (text, number, amount, yes, nothing, long) == ('Söhne, "x"', -5, -12.5, "yes", None, "1" + "0" * 17)
    assert isinstance(local, float)
    assert abs(EPOCH + timedelta(days=local) - datetime(2026, 10, 25, 2, 30)) < timedelta(seconds=1)  # noqa: DTZ001
    assert isinstance(day, float)
    assert EPOCH + timedelta(days=day) == datetime(2026, 3, 1)  # noqa: DTZ001


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffe\uffff"), max_size=20)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(TEXTS | st.integers(-(10**14), 10**14), min_size=2, max_size=2), max_size=5))
def test_what_is_written_is_what_is_read(rows: list[list[str | int]]) -> None:
    written = [[without_formula(v) if isinstance(v, str) else str(v) for v in row] for row in rows]
    assert read_csv(b"".join(csv_bytes(["a", "b"], rows)))[1:] == written
    (sheet,) = read_xlsx(b"".join(xlsx_bytes(["a", "b"], rows, created=CREATED)))
    as_read = [[_line_ends(cell) for cell in row] + [None] * (2 - len(row)) for row in sheet[1:]]
    # Rows without any value are not written at all.
    assert as_read == [[_line_ends(v) for v in row] for row in rows if row != ["", ""]]


def _line_ends(value: object) -> object:
    """XML knows one line end; a cell without a text is an empty one."""
    return (value.replace("\r\n", "\n").replace("\r", "\n") or None) if isinstance(value, str) else value


def test_equal_input_gives_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> bytes:
        return b"".join(xlsx_bytes(["a"], [["x"], [1], [CREATED]], created=CREATED))

    first = made()
    monkeypatch.setattr("time.time", lambda: 4_000_000_000.0)
    assert made() == first


def test_what_does_not_fit_goes_on_or_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "MOST_ROWS", 3)
    sheets = read_xlsx(b"".join(xlsx_bytes(["a"], ([number] for number in range(5)), created=CREATED)))
    assert sheets == [[["a"], [0.0], [1.0]], [["a"], [2.0], [3.0]], [["a"], [4.0]]]
    long = "ä😀" * MOST_CHARACTERS
    ((_, (cell,)),) = read_xlsx(b"".join(xlsx_bytes(["a"], [[long]], created=CREATED)))
    assert isinstance(cell, str)
    assert cell.endswith(CUT_MARK)
    assert MOST_CHARACTERS - 2 < len(cell.encode("utf-16-le")) // 2 <= MOST_CHARACTERS


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_memory_does_not_grow_with_the_rows(kind: str) -> None:
    def rows(number: int) -> Iterator[Sequence[Value]]:
        return ((f"person {n}@example.com", n, "x" * 200) for n in range(number))

    def peak(number: int) -> int:
        made: Iterable[bytes] = (
            csv_bytes(["a", "b", "c"], rows(number))
            if kind == "csv"
            else xlsx_bytes(["a", "b", "c"], rows(number), created=CREATED)
        )
        tracemalloc.start()
        for _ in made:
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)
    # Threads that other tests left count too and can only add: the least of a few is what the writer takes.
    assert min(peak(8000) for _ in range(3)) < peak(2000) + 200_000
