"""The evaluation: eight tasks of growing size. Prompts are never tuned on these."""

from tests.evaluation.task import CheckFailed, EvaluationTask, Workspace, alone, require

_SORTS = """
import ast, importlib.util, pathlib, random

def sorts(function):
    for size in (0, 1, 2, 7, 50):
        values = [random.randint(-99, 99) for _ in range(size)]
        given = list(values)
        result = function(given)
        if (given if result is None else result) != sorted(values):
            return False
    return True

for path in pathlib.Path(".").rglob("*.py"):
    names = [n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in names:
        if "merge" in name and "sort" in name and "test" not in name:
            if sorts(getattr(module, name)):
                raise SystemExit(0)
raise SystemExit("no merge sort that sorts")
"""


async def merge_sort(workspace: Workspace) -> None:
    await workspace.must_pass(_SORTS)


async def fizz_buzz(workspace: Workspace) -> None:
    expected = [
        "FizzBuzz" if n % 15 == 0 else "Fizz" if n % 3 == 0 else "Buzz" if n % 5 == 0 else str(n)
        for n in range(1, 101)
    ]
    require((await workspace.text("fizzbuzz.txt")).split() == expected, "other lines than asked")


async def monthly_total(workspace: Workspace) -> None:
    lines = (await workspace.text("sales.csv")).split()
    require(len(lines) == 13, f"sales.csv has {len(lines)} lines, not 13")
    require("7800" in (await workspace.text("total.txt")), "total.txt does not hold 7800")


async def temperatures(workspace: Workspace) -> None:
    await workspace.must_pass(
        "from temperature import celsius_to_fahrenheit as f, fahrenheit_to_celsius as c\n"
        "assert f(100) == 212 and f(-40) == -40, f(100)\n"
        "assert abs(c(32)) < 1e-9 and abs(c(212) - 100) < 1e-9, c(212)"
    )
    done = await workspace.run("python3 -m unittest test_temperature 2>&1")
    require(done.exit_code == 0, "the tests fail")
    require("Ran 0 tests" not in done.stdout, "there are no tests")


async def word_count(workspace: Workspace) -> None:
    await workspace.run(
        "printf 'Dog cat dog\\nbird CAT dog\\nbird cat dog fish\\n' > /tmp/words.txt"
    )
    await workspace.must_print("python3 wordcount.py /tmp/words.txt", "dog 4 cat 3 bird 2")


async def library(workspace: Workspace) -> None:
    await workspace.must_pass(
        "import sqlite3\n"
        "rows = sqlite3.connect('library.db').execute(\n"
        "    'select title, year from books where year > 2000 order by year').fetchall()\n"
        "assert rows, 'no book after 2000'\n"
        "count = sqlite3.connect('library.db').execute('select count(*) from books').fetchone()[0]\n"
        "assert count == 6, f'{count} books'\n"
        "import subprocess, sys\n"
        "said = subprocess.run([sys.executable, 'query.py'], capture_output=True, text=True).stdout\n"
        "places = [said.find(str(title)) for title, year in rows]\n"
        "assert -1 not in places and places == sorted(places), said\n"
    )


async def bank(workspace: Workspace) -> None:
    await workspace.must_pass(
        "from bank import Account\n"
        "a = Account()\n"
        "a.deposit(50); a.withdraw(20)\n"
        "assert a.balance == 30, a.balance\n"
        "for bad in (lambda: a.withdraw(31), lambda: a.deposit(-1)):\n"
        "    try:\n"
        "        bad()\n"
        "    except ValueError:\n"
        "        continue\n"
        "    raise AssertionError('no ValueError')\n"
        "assert a.balance == 30\n"
        "assert len(a.history) == 2, a.history\n"
    )


async def to_do(workspace: Workspace) -> None:
    start = alone("todo.py")
    done = await workspace.run(
        start + "python3 todo.py add 'buy milk' && python3 todo.py add 'call Ann' && "
        "python3 todo.py done 1 && python3 todo.py list"
    )
    require(done.exit_code == 0, f"a command failed: {done.stderr.strip()[-200:]}")
    lines = done.stdout.splitlines()
    milk = [line for line in lines if "buy milk" in line and "[x]" in line]
    ann = [line for line in lines if "call Ann" in line and "[ ]" in line]
    if not milk or not ann:
        raise CheckFailed(f"`list` printed {done.stdout[-300:]!r}")


TASKS = (
    EvaluationTask("merge_sort", "Write and test a merge sort in Python", merge_sort),
    EvaluationTask(
        "fizz_buzz",
        "Write FizzBuzz for the numbers 1 to 100 into the file fizzbuzz.txt, one per line.",
        fizz_buzz,
    ),
    EvaluationTask(
        "monthly_total",
        "Create sales.csv with the columns month and amount, one line for each of the 12 months; "
        "the amount of month n is n times 100. Then read that file, add the amounts up and write "
        "the total to total.txt.",
        monthly_total,
    ),
    EvaluationTask(
        "temperatures",
        "Write temperature.py with the functions celsius_to_fahrenheit and fahrenheit_to_celsius, "
        "and tests for both with unittest in test_temperature.py. Run the tests.",
        temperatures,
    ),
    EvaluationTask(
        "word_count",
        "Write wordcount.py. It takes a file name as its argument and prints the 3 most frequent "
        "words of that file in lower case, the most frequent first, each line as `word count`. "
        "Try it on a sample file.",
        word_count,
    ),
    EvaluationTask(
        "library",
        "Make a SQLite database library.db with a table books (title, author, year) holding 6 "
        "books, some of them from after the year 2000. Then write query.py that prints the titles "
        "of the books published after 2000, oldest first, and run it.",
        library,
    ),
    EvaluationTask(
        "bank",
        "Write bank.py with a class Account: deposit(amount), withdraw(amount), the attribute "
        "balance that starts at 0, and history, a list with one entry for each deposit or "
        "withdrawal that was made. Withdrawing more than the balance and depositing a negative "
        "amount raise ValueError and change nothing. Test it.",
        bank,
    ),
    EvaluationTask(
        "to_do",
        "Write a to-do list for the command line in todo.py. `python3 todo.py add TEXT` adds an "
        "item, `python3 todo.py done N` marks item number N (from 1) as done, and `python3 todo.py "
        "list` prints all items, one per line, with `[x]` before the done and `[ ]` before the "
        "open ones. Items are kept in todo.json. Try all three commands.",
        to_do,
    ),
)
