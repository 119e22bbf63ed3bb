"""What runs in a person's shell: the container's best shell, with a prompt one can read."""

from sessions.sandbox.base import ExecRequest, TerminalSize

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


def shell_request(shell_id: str, program: str, size: TerminalSize, offset: int) -> ExecRequest:
    """To start it, or to attach to it once it runs."""
    environment = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "SHELL": program}
    if program.endswith("bash"):
        argv: tuple[str, ...] = (program, "-c", _BASH, program)
        environment["BERTH_BASH_SETTINGS"] = _BASH_SETTINGS
    else:
        argv = (program, "-i")
        environment["PS1"] = "$PWD $ "
    return ExecRequest(
        exec_id=shell_id,
        argv=argv,
        env=environment,
        pty=size,
        pty_offset=offset,
        keep_log=False,
    )
