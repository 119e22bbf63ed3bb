from hypothesis import given
from hypothesis import strategies as st

from sessions.workspace.hexdump import ROW_BYTES, hex_rows


def test_a_row_is_offset_bytes_and_ascii() -> None:
    first, second = hex_rows(b"Hello\n\x00\xff<b>&amp;+z", offset=0x1000)
    assert first.offset == "00001000"
    assert first.cells == "48 65 6c 6c 6f 0a 00 ff  3c 62 3e 26 61 6d 70 3b"
    assert first.text == "Hello...<b>&amp;"
    assert (second.offset, second.cells.strip(), second.text) == ("00001010", "2b 7a", "+z")


@given(st.binary(max_size=200), st.integers(0, 2**40))
def test_every_byte_is_there_and_columns_stay_in_line(data: bytes, offset: int) -> None:
    rows = hex_rows(data, offset=offset)
    assert bytes.fromhex("".join(row.cells for row in rows)) == data
    assert len({len(row.cells) for row in rows}) <= 1
    assert [int(row.offset, 16) for row in rows] == [
        offset + at for at in range(0, len(data), ROW_BYTES)
    ]
