"""The report as a picture: ours beside the floor of the same run, row by row, on one log scale."""

import math
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.bench.figures import TIMES, Row

WIDTH = 900
LABEL = 190
RIGHT = 250
ROW = 46
TOP = 56
BAR = 13
MAX_TARGET = 42
DECADES = (-2, 2)
"""Of the ratio to the floor; what lies outside is drawn at the edge."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2a30; }
.small { font-size: 11px; fill: #5b6b74; }
.title { font-size: 15px; font-weight: 600; }
.floor { fill: #b8c4ca; }
.met { fill: #0f7c87; }
.missed { fill: #c2571a; }
.grid { stroke: #dde4e7; }
.one { stroke: #8b9aa2; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e3eaed; }
  .small { fill: #93a4ad; }
  .floor { fill: #4a5a63; }
  .met { fill: #2fb3bf; }
  .missed { fill: #e58a4f; }
  .grid { stroke: #26333a; }
}
"""


def write_plot(rows: Sequence[Row], heading: str, path: Path) -> None:
    height = TOP + ROW * len(rows) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="Bench">',
        f"<style>{STYLE}</style>",
        _text(12, 24, heading, "title"),
        _text(
            12, 42, "p50 as a multiple of the floor measured in the same run; log scale", "small"
        ),
        *_grid(height),
    ]
    for number, row in enumerate(rows):
        parts += _row(row, TOP + ROW * number)
    parts.append("</svg>")
    path.write_text("\n".join(parts) + "\n")


def _x(ratio: float) -> float:
    low, high = DECADES
    share = (min(max(math.log10(ratio), low), high) - low) / (high - low)
    return LABEL + share * (WIDTH - LABEL - RIGHT)


def _grid(height: int) -> list[str]:
    lines = []
    for decade in range(DECADES[0], DECADES[1] + 1):
        x = _x(10.0**decade)
        kind = "one" if decade == 0 else "grid"
        lines.append(
            f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - 30}"/>'
        )
        lines.append(_text(x, height - 14, f"{10.0**decade:g}{TIMES}", "small", anchor="middle"))
    return lines


def _row(row: Row, y: float) -> list[str]:
    kind = "met" if row.met else "missed"
    figures = f"{row.p50:g} {row.unit}"
    parts = [_text(12, y + 20, row.name)]
    if row.ratio is not None:
        figures += f", floor {row.floor_p50:g}"
        parts.append(_bar(row.ratio, y + 4, kind))
        parts.append(_bar(1.0, y + 4 + BAR + 2, "floor"))
    parts.append(_text(WIDTH - RIGHT + 14, y + 15, figures))
    told = f"{'met' if row.met else 'missed'}: {row.target}"
    told = told if len(told) <= MAX_TARGET else told[: MAX_TARGET - 1] + "…"
    parts.append(_text(WIDTH - RIGHT + 14, y + 31, told, "small"))
    return parts


def _bar(ratio: float, y: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{LABEL}" y="{y}" height="{BAR}" rx="2" '
        f'width="{max(_x(ratio) - LABEL, 1):.1f}"/>'
    )


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
