"""The file verbs of a sandbox."""

from sessions.sandbox.connection import Connection


class SandboxFiles:
    def __init__(self, connection: Connection) -> None:
        self._files = connection
