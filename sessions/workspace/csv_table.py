"""CSV and TSV as a table of limited size."""

import csv
import io
from dataclasses import dataclass

MAX_ROWS = 1000
MAX_COLUMNS = 100
MAX_CELL_CHARACTERS = 1000

_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Table:
    """Every row has as many cells as the header; the flags tell what was left out."""

    header: list[str]
    rows: list[list[str]]
    is_cut_below: bool
    is_cut_right: bool
    is_ragged: bool


def parse_table(text: str, *, name: str, is_whole: bool) -> Table | None:
    """None when it cannot be read as a table. `text` may be the start of a longer file."""
    delimiter = "\t" if name.lower().endswith((".tsv", ".tab")) else guess_delimiter(text)
    # Only newlines end a row, and the csv module copes with all kinds of them.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > MAX_ROWS + 1:
                break
    except csv.Error:
        return None
    if not rows:
        return None
    is_cut_below = len(rows) > MAX_ROWS + 1 or not is_whole
    if len(rows) <= MAX_ROWS + 1 and not is_whole and len(rows) > 1:
        rows.pop()  # cut in its middle
    rows = rows[: MAX_ROWS + 1]
    width = max(map(len, rows))
    columns = min(width, MAX_COLUMNS)
    cells = [[_cell(cell) for cell in row[:columns]] + [""] * (columns - len(row)) for row in rows]
    return Table(
        header=cells[0],
        rows=cells[1:],
        is_cut_below=is_cut_below,
        is_cut_right=width > columns,
        is_ragged=any(len(row) != len(rows[0]) for row in rows),
    )


def guess_delimiter(text: str) -> str:
    """The separator met most often outside quotes in the first line; a comma when none is."""
    first_line = text.lstrip("\r\n").partition("\n")[0]
    unquoted = "".join(first_line.split('"')[::2])
    return max(_DELIMITERS, key=unquoted.count)


def _cell(text: str) -> str:
    return text if len(text) <= MAX_CELL_CHARACTERS else text[:MAX_CELL_CHARACTERS] + "…"
