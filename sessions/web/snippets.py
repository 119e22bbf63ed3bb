"""Programs to paste, in templates/snippets: each says where this Berth is, and which key to use."""

from dataclasses import dataclass

from django.template.loader import render_to_string

NO_KEY = "berth_YOUR_KEY"


@dataclass(frozen=True, slots=True)
class Snippet:
    file: str
    """In templates/snippets, there with `.txt`."""
    title: str
    about: str

    @property
    def name(self) -> str:
        return self.file.partition(".")[0]

    def text(self, *, base_url: str, key: str) -> str:
        values = {"base_url": base_url, "key": key}
        # Stripped it is plain text, which the page escapes as a whole.
        return render_to_string(f"snippets/{self.file}.txt", values).strip()


@dataclass(frozen=True, slots=True)
class Client:
    name: str
    title: str
    needs: str
    """What has to be installed."""
    snippets: tuple[Snippet, ...]


SHELL = ("A shell, watched live", "What its commands print comes while they run.")
FILES = (
    "A container, and files in it",
    "Put files in, let the model work on them, take files out.",
)
BACKGROUND = (
    "In the background, and on again",
    "The work goes on when the connection is lost; the stream is had again from any event on.",
)

CLIENTS = (
    Client(
        "python",
        "Python",
        "pip install openai",
        (
            Snippet("python_shell.py", *SHELL),
            Snippet("python_files.py", *FILES),
            Snippet("python_background.py", *BACKGROUND),
        ),
    ),
    Client(
        "javascript",
        "JavaScript",
        "npm install openai",
        (
            Snippet("javascript_shell.mjs", *SHELL),
            Snippet("javascript_files.mjs", *FILES),
            Snippet("javascript_background.mjs", *BACKGROUND),
        ),
    ),
    Client(
        "curl",
        "curl",
        "",
        (
            Snippet("curl_shell.sh", *SHELL),
            Snippet("curl_files.sh", *FILES),
            Snippet("curl_background.sh", *BACKGROUND),
        ),
    ),
    Client(
        "agents",
        "Agents SDK",
        "pip install openai-agents",
        (Snippet("agents_shell.py", "An agent with a shell", SHELL[1]),),
    ),
    Client(
        "codex",
        "Codex CLI",
        "npm install -g @openai/codex",
        (
            Snippet("codex_config.toml", "~/.codex/config.toml", "Names this Berth as the model."),
            Snippet("codex_run.sh", "A task", "It works on this machine, in the folder it is in."),
        ),
    ),
)
