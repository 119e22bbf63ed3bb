import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.workspace.csv_table import (
    MAX_CELL_CHARACTERS,
    MAX_COLUMNS,
    MAX_ROWS,
    Table,
    parse_table,
)


def table(text: str, name: str = "a.csv", *, is_whole: bool = True) -> Table:
    parsed = parse_table(text, name=name, is_whole=is_whole)
    assert parsed is not None
    return parsed


def test_quoted_cells_may_hold_separators_quotes_and_newlines() -> None:
    parsed = table('a,b\n"1,\n""x""",2\n')
    assert (parsed.header, parsed.rows) == (["a", "b"], [['1,\n"x"', "2"]])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a;b\n1;2\n", "a.csv"),
        ("a\tb\n1\t2\n", "a.csv"),
        ("a|b\n1|2\n", "a.csv"),
        ("a\tb\n1\t2\n", "a.tsv"),
        ('"x;y,z",b\n1,2\n'.replace('"x;y,z"', "a"), "a.csv"),
    ],
)
def test_the_separator_is_found(text: str, name: str) -> None:
    parsed = table(text, name)
    assert (parsed.header, parsed.rows) == (["a", "b"], [["1", "2"]])


def test_separators_inside_quotes_do_not_count() -> None:
    assert table('"a;;;;b",c\n1,2\n').header == ["a;;;;b", "c"]


def test_ragged_rows_are_filled_up() -> None:
    parsed = table("a,b\n1\n1,2,3\n")
    assert parsed.is_ragged
    assert parsed.header == ["a", "b", ""]
    assert parsed.rows == [["1", "", ""], ["1", "2", "3"]]


def test_too_many_rows_and_columns_are_cut_and_told() -> None:
    exact = table("h\n" + "x\n" * MAX_ROWS)
    assert (len(exact.rows), exact.is_cut_below) == (MAX_ROWS, False)
    longer = table("h\n" + "x\n" * (MAX_ROWS + 1))
    assert (len(longer.rows), longer.is_cut_below) == (MAX_ROWS, True)
    wide = table(",".join("x" * (MAX_COLUMNS + 1)))
    assert (len(wide.header), wide.is_cut_right) == (MAX_COLUMNS, True)


def test_a_long_cell_is_cut() -> None:
    (cell,) = table("x" * (MAX_CELL_CHARACTERS + 1)).header
    assert len(cell) == MAX_CELL_CHARACTERS + 1
    assert cell.endswith("…")


def test_the_row_that_the_end_of_the_piece_cuts_is_left_out() -> None:
    parsed = table("a,b\n1,2\n3,", is_whole=False)
    assert parsed.rows == [["1", "2"]]
    assert parsed.is_cut_below


def test_what_is_no_table_is_none() -> None:
    assert parse_table("", name="a.csv", is_whole=True) is None
    assert parse_table("x" * 200_000, name="a.csv", is_whole=True) is None


@given(st.text(), st.booleans())
def test_any_text_is_a_rectangle_or_none(text: str, is_whole: bool) -> None:
    parsed = parse_table(text, name="a.csv", is_whole=is_whole)
    if parsed is not None:
        assert {len(row) for row in parsed.rows} <= {len(parsed.header)}
