"""The guided tour: what Berth does, shown by real commands in a real container.

Uses a POSIX shell and Python alone, so that it plays in every sandbox image; about 30 s.
"""

from typing import Any

from sessions.providers.markdown import run_command
from sessions.providers.script import Script, ScriptStep

_STREAMING = """\
printf '\\033[1mHello from inside the container.\\033[0m\\n'
for colour in 31 33 32 36 34 35; do
  printf '\\033[%sm colour %s \\033[0m' "$colour" "$colour"; sleep 0.5
done
echo
for step in $(seq 0 5 100); do
  bar=$(printf '%*s' $((step / 5)) '' | tr ' ' '#')
  printf '\\r\\033[32mprogress [%-20s] %3d%%\\033[0m' "$bar" "$step"; sleep 0.35
done
echo; echo 'Each byte came as the program wrote it.'"""

_COUNTER = """\
for n in $(seq 8); do echo "counter: $n of 8"; sleep 0.7; done"""

_WARNER = """\
for n in 1 2 3 4; do
  echo "worker: part $n is ready"; sleep 0.7
  echo "worker: part $n was slower than usual" >&2; sleep 0.7
done"""

_STATS_BROKEN = '''\
# shop/stats.py
"""Figures about a list of prices."""


def mean(values):
    return sum(values) / len(values)


def median(values):
    middle = len(values) // 2
    return values[middle]
'''

_STATS_FIXED = '''\
# shop/stats.py
"""Figures about a list of prices."""


def mean(values):
    return sum(values) / len(values)


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
'''

_TESTS = """\
# shop/test_stats.py
import unittest

from stats import mean, median


class StatsTest(unittest.TestCase):
    def test_mean(self):
        self.assertEqual(mean([1, 2, 3]), 2)

    def test_median_of_unordered_values(self):
        self.assertEqual(median([9, 1, 5]), 5)

    def test_median_of_an_even_number_of_values(self):
        self.assertEqual(median([4, 1, 3, 2]), 2.5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
"""

_REPORT = '''\
# shop/report.py
"""Makes prices.csv, chart.svg, chart.png and report.md out of the same figures."""

import csv
import random
import struct
import time
import zlib

from stats import mean, median

random.seed(7)
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
prices = [round(random.uniform(20, 95), 2) for _ in MONTHS]

with open("shop/prices.csv", "w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(["month", "price"])
    rows.writerows((month, f"{price:.2f}") for month, price in zip(MONTHS, prices))
print("wrote shop/prices.csv", flush=True)
time.sleep(1)

bars = "".join(
    f'<rect x="{10 + 30 * i}" y="{110 - p:.0f}" width="22" height="{p:.0f}" fill="#4f7cff"/>'
    for i, p in enumerate(prices)
)
with open("shop/chart.svg", "w") as file:
    file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 380 120">{bars}</svg>')
print("wrote shop/chart.svg", flush=True)
time.sleep(1)

WIDTH, HEIGHT = 380, 120
rows = []
for y in range(HEIGHT):
    row = bytearray(b"\\xf6\\xf7\\xfb" * WIDTH)
    for i, price in enumerate(prices):
        if 110 - price <= y < 110:
            for x in range(10 + 30 * i, 32 + 30 * i):
                row[3 * x : 3 * x + 3] = bytes((79, 124, 255 - y))
    rows.append(b"\\0" + bytes(row))


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


with open("shop/chart.png", "wb") as file:
    file.write(b"\\x89PNG\\r\\n\\x1a\\n")
    file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)))
    file.write(chunk(b"IDAT", zlib.compress(b"".join(rows))))
    file.write(chunk(b"IEND", b""))
print("wrote shop/chart.png", flush=True)
time.sleep(1)

with open("shop/report.md", "w") as file:
    file.write("# Prices of a year\\n\\n| month | price |\\n|---|---:|\\n")
    file.writelines(f"| {month} | {price:.2f} |\\n" for month, price in zip(MONTHS, prices))
    file.write(f"\\nMean **{mean(prices):.2f}**, median **{median(prices):.2f}**.\\n")
print(f"wrote shop/report.md: mean {mean(prices):.2f}, median {median(prices):.2f}")
'''

_LISTING = """\
printf '\\033[1mWhat is in the workspace now\\033[0m\\n'; ls -l shop
printf '\\n'; cat shop/report.md"""


def _file(content: str, command: str = "") -> tuple[str, dict[str, Any]]:
    first_line, rest = content.split("\n", 1)
    path = first_line.removeprefix("# ")
    return "run_file", {"path": path, "content": rest, "command": command or run_command(path)}


def _shell(*commands: str) -> tuple[str, dict[str, Any]]:
    return "shell", {"commands": list(commands)}


TOUR = Script(
    steps=(
        ScriptStep(
            "**Welcome aboard.** This is a scripted tour: no model is at work, but the container, "
            "the commands and the files are real.\n\n"
            "On the right is the terminal. Watch colours and a progress bar come in while the "
            "command is still running.",
            (_shell(_STREAMING),),
        ),
        ScriptStep(
            "Commands of one step run **at the same time**. These two write line by line; what "
            "the second one writes to standard error is marked as such.",
            (_shell(_COUNTER, _WARNER),),
        ),
        ScriptStep(
            "Now some work: a small Python module. Open the **Files** tab, it appears there as "
            "soon as it is written.",
            (_file(_STATS_BROKEN, "python3 -m py_compile shop/stats.py && ls -l shop"),),
        ),
        ScriptStep(
            "Tests for it. They **fail**, because the module has a bug: its median does not sort. "
            "The card shows the exit code, and a click on it jumps to the output.",
            (_file(_TESTS),),
        ),
        ScriptStep(
            "So the module is mended and the same tests run again.",
            (_file(_STATS_FIXED, "python3 shop/test_stats.py"),),
        ),
        ScriptStep(
            "With that, a report: a CSV file (shown as a table), an image, and a Markdown file.",
            (_file(_REPORT),),
        ),
        ScriptStep("A last look at what was made.", (_shell(_LISTING),)),
    ),
    closing=(
        "**That was the tour.** In *Files* you can look at `shop/report.md`, `shop/prices.csv` "
        "and `shop/chart.png`, and download each of them, the folder or everything as a zip. "
        "Reload the page at any moment: nothing is lost.\n\n"
        "You can go on here: write a message with a ` ```bash ` block and it is run. For a real "
        "task, start a new session and choose a model."
    ),
)
