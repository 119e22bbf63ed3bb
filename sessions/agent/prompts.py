"""What the model is told about its place of work."""

from sessions.sandbox.limits import GIB, Limits

RULES = """\
- Commands are not interactive: no TTY, no editor, no questions. Each runs in a new shell in
  /workspace; files carry over from one to the next, variables and `cd` do not.
- Several commands of one call run at the same time. Chain what must run in order with `&&`.
- A command ends after {timeout_s:.0f} s at most. Start servers in the background.
- The container has {memory:.1f} GiB of memory and {cpus:g} CPU, and no network.
- Long output reaches you as head and tail; the message says where all of it is.
"""
"""Of the place where commands run."""

INSTRUCTIONS = """\
You are an agent with a computer of your own: a Linux container in which you run shell commands.
A person gives you a task and watches you work live. Do the task yourself, with commands; do not
tell the person to run things.

- Your folder is /workspace (also reachable as /mnt/data). Files you leave there are what the
  person takes home; leave the results there and say in your last message which files they are.
{rules}- Check your work by running it. When something fails, read the error and mend it.
- When the task is done, answer with a short summary in Markdown and call no more tools.
"""


PLACE = """\
You have a computer of your own: a Linux container in which your {what}.
- Your folder is /workspace (also reachable as /mnt/data). Leave results there.
{rules}"""

PYTHON_RULES = """\
- Your code runs in an interpreter of Python that stays: variables, imports and the current folder
  carry over from call to call. When it had to be started anew, its output says so.
- There is no keyboard: input() fails. Figures are shown when a call ends, and closed.
- To offer a file, leave it in /mnt/data and link it: [name](sandbox:/mnt/data/name).
"""
CODE_LIMITS = """\
- A call ends after {timeout_s:.0f} s at most.
- The container has {memory:.1f} GiB of memory and {cpus:g} CPU, and no network.
"""


def instructions(limits: Limits) -> str:
    return _filled(INSTRUCTIONS.replace("{rules}", RULES), limits)


def _filled(text: str, limits: Limits) -> str:
    return text.format(
        timeout_s=limits.command_timeout_s,
        memory=limits.memory_bytes / GIB,
        cpus=limits.cpus,
    )


def place(limits: Limits, *, has_shell: bool, has_python: bool) -> str:
    """For a program's model, which has instructions of its own: where its commands and its code
    run."""
    names = ["shell commands"] * has_shell + ["code"] * has_python
    what = f"{' and '.join(names)} {'run' if has_shell else 'runs'}"
    rules = (PYTHON_RULES if has_python else "") + (RULES if has_shell else CODE_LIMITS)
    return _filled(PLACE.replace("{what}", what).replace("{rules}", rules), limits)
