"""Tasks on which the prompt for the local model is tuned; none of them is in the evaluation."""

from tests.evaluation.task import EvaluationTask, Workspace, alone, require

_SEARCHES = """
import ast, importlib.util, pathlib
for path in pathlib.Path(".").rglob("*.py"):
    names = [n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in names:
        if "search" in name and "test" not in name:
            search = getattr(module, name)
            if all(search([1, 3, 5, 9], value) == at for at, value in enumerate([1, 3, 5, 9])):
                raise SystemExit(0)
raise SystemExit("no binary search that finds")
"""


async def binary_search(workspace: Workspace) -> None:
    await workspace.must_pass(_SEARCHES)


async def squares(workspace: Workspace) -> None:
    expected = [str(n * n) for n in range(1, 21)]
    require((await workspace.text("squares.txt")).split() == expected, "other lines than asked")


async def averages(workspace: Workspace) -> None:
    lines = (await workspace.text("students.csv")).split("\n")
    require(len([line for line in lines if line.strip()]) == 6, "students.csv is not as asked")
    require("80" in await workspace.text("average.txt"), "average.txt does not hold 80")


async def palindromes(workspace: Workspace) -> None:
    await workspace.must_pass(
        "from palindrome import is_palindrome as p\n"
        "assert p('A man, a plan, a canal: Panama') and not p('hello')"
    )
    done = await workspace.run("python3 -m unittest test_palindrome 2>&1")
    require(done.exit_code == 0, "the tests fail")
    require("Ran 0 tests" not in done.stdout, "there are no tests")


async def line_numbers(workspace: Workspace) -> None:
    await workspace.run("printf 'one\\ntwo\\nthree\\n' > /tmp/lines.txt")
    await workspace.must_print("python3 number.py /tmp/lines.txt", "1: one 2: two 3: three")


async def stack(workspace: Workspace) -> None:
    await workspace.must_pass(
        "from stack import Stack\n"
        "s = Stack(); s.push(1); s.push(2)\n"
        "assert s.peek() == 2 and s.pop() == 2 and s.size() == 1\n"
        "s.pop()\n"
        "try:\n    s.pop()\nexcept IndexError:\n    pass\n"
        "else:\n    raise AssertionError('no IndexError')"
    )


async def inventory(workspace: Workspace) -> None:
    start = alone("inventory.py")
    await workspace.must_print(
        start + "python3 inventory.py set apples 5 > /dev/null && "
        "python3 inventory.py set pears 7 > /dev/null && python3 inventory.py show",
        "apples: 5 pears: 7",
    )


async def site(workspace: Workspace) -> None:
    html = await workspace.text("site/index.html")
    require("style.css" in html and "<h1" in html, "index.html is not as asked")
    require("{" in await workspace.text("site/style.css"), "style.css is empty")


async def cities(workspace: Workspace) -> None:
    await workspace.must_pass(
        "import sqlite3\n"
        "rows = sqlite3.connect('cities.db').execute(\n"
        "    'select name, population from cities order by population desc').fetchall()\n"
        "assert len(rows) == 5, f'{len(rows)} cities'\n"
        "import subprocess, sys\n"
        "said = subprocess.run([sys.executable, 'largest.py'], capture_output=True, text=True).stdout\n"
        "places = [said.find(str(name)) for name, _ in rows[:3]]\n"
        "assert -1 not in places and places == sorted(places), said\n"
        "assert all(str(name) not in said for name, _ in rows[3:]), said\n"
    )


async def notes(workspace: Workspace) -> None:
    start = alone("notes.py")
    await workspace.must_print(
        start + "python3 notes.py add 'feed the cat' > /dev/null && "
        "python3 notes.py add 'wash up' > /dev/null && "
        "python3 notes.py remove 1 > /dev/null && python3 notes.py list",
        "1. wash up",
    )


TUNING_TASKS = (
    EvaluationTask("binary_search", "Write and test a binary search in Python", binary_search),
    EvaluationTask(
        "squares",
        "Write the squares of the numbers 1 to 20 into the file squares.txt, one per line.",
        squares,
    ),
    EvaluationTask(
        "averages",
        "Create students.csv with the columns name and score and these five students: Ann 70, Bob "
        "80, Cid 90, Dee 75, Eve 85. Then read that file and write the average score to "
        "average.txt.",
        averages,
    ),
    EvaluationTask(
        "palindromes",
        "Write palindrome.py with a function is_palindrome that ignores case, spaces and "
        "punctuation, and tests for it with unittest in test_palindrome.py. Run the tests.",
        palindromes,
    ),
    EvaluationTask(
        "line_numbers",
        "Write number.py. It takes a file name as its argument and prints each line of that file "
        "with its number, as `1: text`. Try it on a sample file.",
        line_numbers,
    ),
    EvaluationTask(
        "stack",
        "Write stack.py with a class Stack: push(item), pop(), peek() and size(). pop and peek on "
        "an empty stack raise IndexError. Test it.",
        stack,
    ),
    EvaluationTask(
        "site",
        "Make a folder site with an index.html that has a heading and a paragraph about cats, and "
        "a style.css that index.html uses.",
        site,
    ),
    EvaluationTask(
        "inventory",
        "Write inventory.py for the command line. `python3 inventory.py set NAME COUNT` stores how "
        "many of a thing there are in inventory.json, and `python3 inventory.py show` prints all "
        "of them sorted by name, each line as `name: count`. Try both commands.",
        inventory,
    ),
    EvaluationTask(
        "cities",
        "Make a SQLite database cities.db with a table cities (name, population) holding 5 cities. "
        "Then write largest.py that prints the names of the 3 largest, the largest first, and run "
        "it.",
        cities,
    ),
    EvaluationTask(
        "notes",
        "Write notes.py for the command line: `python3 notes.py add TEXT` appends a note to "
        "notes.txt, `python3 notes.py list` prints all notes numbered from 1, each line as `1. "
        "text`, and `python3 notes.py remove N` removes note N. Try all three.",
        notes,
    ),
)
