"""Which shell an image has."""

import uuid

from sessions.sandbox.base import ExecEnded, ExecRequest, Sandbox

SHELLS = ("/bin/bash", "/usr/bin/bash")
FALLBACK = "/bin/sh"


async def find_shell(sandbox: Sandbox) -> str:
    """Path of the best one; `FALLBACK` is not looked for. Raises: SandboxError."""
    for path in SHELLS:
        probe = await sandbox.exec(
            ExecRequest(
                exec_id=f"shell-{uuid.uuid4().hex}",
                argv=(path, "-c", ":"),
                timeout_s=10,
                keep_log=False,
            )
        )
        async for piece in probe:
            if isinstance(piece, ExecEnded) and piece.ending.exit_code == 0:
                return path
    return FALLBACK
