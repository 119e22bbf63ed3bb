"""Bytes as rows of offset, hexadecimal and ASCII."""

from dataclasses import dataclass

ROW_BYTES = 16
PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class HexRow:
    offset: str
    cells: str
    """Two groups of eight; short rows are padded so that the columns stay in line."""
    text: str


def hex_rows(data: bytes, *, offset: int) -> list[HexRow]:
    return [
        HexRow(
            offset=f"{offset + at:08x}",
            cells=_cells(data[at : at + ROW_BYTES]),
            text="".join(
                chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data[at : at + ROW_BYTES]
            ),
        )
        for at in range(0, len(data), ROW_BYTES)
    ]


def _cells(row: bytes) -> str:
    half = ROW_BYTES // 2
    width = half * 3 - 1
    return f"{row[:half].hex(' '):<{width}}  {row[half:].hex(' '):<{width}}"
