"""What a row of the bench is, and the file and table it goes into."""

import datetime as dt
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TIMES = "\N{MULTIPLICATION SIGN}"


def at_most_times_floor(factor: float) -> str:
    return f"≤ {factor:g} {TIMES} floor"


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile. `share` is 0.5 for the median."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True)
class Measurement:
    """Samples of ours and of the floor, taken in turns. `is_higher_better` for rates."""

    unit: str
    ours: Sequence[float]
    floor: str
    """What the floor is, in words; empty where there is none."""
    floor_samples: Sequence[float]
    target: str
    is_met: bool
    note: str = ""


@dataclass(frozen=True)
class Row:
    name: str
    unit: str
    n: int
    p50: float
    p99: float
    floor: str
    floor_p50: float | None
    ratio: float | None
    target: str
    met: bool
    note: str = ""

    @classmethod
    def of(cls, name: str, measured: Measurement) -> "Row":
        p50 = percentile(measured.ours, 0.5)
        floor_p50 = percentile(measured.floor_samples, 0.5) if measured.floor_samples else None
        return cls(
            name=name,
            unit=measured.unit,
            n=len(measured.ours),
            p50=round(p50, 3),
            p99=round(percentile(measured.ours, 0.99), 3),
            floor=measured.floor,
            floor_p50=None if floor_p50 is None else round(floor_p50, 3),
            ratio=round(p50 / floor_p50, 2) if floor_p50 else None,
            target=measured.target,
            met=measured.is_met,
            note=measured.note,
        )


def ratio_at_p50(ours: Sequence[float], floor: Sequence[float]) -> float:
    return percentile(ours, 0.5) / percentile(floor, 0.5)


def write_report(
    path: Path, machine: str, commit: str, rows: "Sequence[DataclassInstance]"
) -> None:
    content = {
        "machine": machine,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "commit": commit,
        "rows": [asdict(row) for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@dataclass
class Report:
    machine: str
    commit: str
    rows: list[Row] = field(default_factory=list)

    def write(self, path: Path) -> None:
        write_report(path, self.machine, self.commit, self.rows)


HEADINGS = ("name", "n", "p50", "p99", "unit", "floor p50", "ratio", "target", "met")


def table(rows: Sequence[Row]) -> str:
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADINGS))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        str(row.n),
        f"{row.p50:g}",
        f"{row.p99:g}",
        row.unit,
        "-" if row.floor_p50 is None else f"{row.floor_p50:g}",
        "-" if row.ratio is None else f"{row.ratio:g}",
        row.target,
        "yes" if row.met else "NO",
    )
