"""What runs in a shell: the container's best shell, with a prompt one can read, for a person; for a
program what it asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sessions.sandbox.base import ExecRequest, TerminalSize
from sessions.sandbox.setup import Setup

# The image's own settings first; the rest only where they leave something to be desired.
_BASH_SETTINGS = r"""
for file in /etc/bash.bashrc "$HOME/.bashrc"; do [ -r "$file" ] && . "$file"; done
unset file BERTH_BASH_SETTINGS
case $PS1 in *'\[\e['*|*'\033['*) ;; *) PS1='\[\e[32m\]\u\[\e[0m\]:\[\e[34m\]\w\[\e[0m\]\$ ' ;; esac
alias ls >/dev/null 2>&1 || alias ls='ls --color=auto'
alias grep >/dev/null 2>&1 || alias grep='grep --color=auto'
shopt -s checkwinsize
"""
_BASH = 'exec "$0" --rcfile <(printf %s "$BERTH_BASH_SETTINGS") -i'


@dataclass(frozen=True, slots=True)
class TerminalRequest:
    """Without `argv` and `text` the shell itself, as a person gets it; `text` is a command of it."""

    argv: tuple[str, ...] = ()
    text: str = ""
    cwd: str = "/workspace"
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    is_detached: bool = False
    """It goes on without the program that asked for it."""
    is_programs: bool = True

    def to_json(self) -> dict[str, Any]:
        if not self.is_programs:
            return {}
        return {
            "argv": list(self.argv),
            "text": self.text,
            "cwd": self.cwd,
            "env": dict(self.env),
            "timeout_s": self.timeout_s,
            "is_detached": self.is_detached,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "TerminalRequest":
        if not value:
            return PERSONS
        return cls(**{**value, "argv": tuple(value["argv"])})


PERSONS = TerminalRequest(is_programs=False)


def shell_request(
    shell_id: str,
    program: str,
    size: TerminalSize,
    offset: int,
    *,
    request: TerminalRequest = PERSONS,
    setup: Setup | None = None,
) -> ExecRequest:
    """To start it, or to attach to it once it runs. `program` is the container's shell."""
    setup = setup or Setup()
    environment = {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "SHELL": program,
        **setup.env,
        **request.env,
    }
    if request.argv or request.text:
        argv = request.argv or (program, "-c", request.text)
    elif program.endswith("bash"):
        argv = (program, "-c", _BASH, program)
        environment["BERTH_BASH_SETTINGS"] = _BASH_SETTINGS
    else:
        argv = (program, "-i")
        environment["PS1"] = "$PWD $ "
    return ExecRequest(
        exec_id=shell_id,
        argv=argv,
        cwd=request.cwd,
        env=environment,
        timeout_s=request.timeout_s,
        pty=size,
        pty_offset=offset,
        keep_log=False,
        user=setup.user,
    )
