"""Whether the engine can hold a container and a volume to a size: XFS with project quotas.

An engine says what file system it is on, but not whether that was mounted with quotas. So it is
asked for a small volume with a size, which it refuses without them.
"""

import secrets
from typing import Any

from sessions.errors import EngineUnavailableError, SandboxError
from sessions.sandbox import names
from sessions.sandbox.docker_client import AsyncDocker
from sessions.sandbox.limits import MIB

_PROBE_BYTES = 64 * MIB


class DiskQuota:
    def __init__(self, docker: AsyncDocker, installation: str) -> None:
        self._docker = docker
        self._installation = installation
        self._is_available: bool | None = None

    async def is_available(self) -> bool:
        """Found out once. Raises: EngineUnavailableError."""
        if self._is_available is None:
            info = await self._docker.call(lambda api: api.info())
            self._is_available = may_have_quotas(info) and await self.takes_sizes()
        return self._is_available

    async def takes_sizes(self) -> bool:
        """Leaves nothing behind. Raises: EngineUnavailableError."""
        name = f"berth-probe-{secrets.token_hex(6)}"
        # As a workspace that no row names: what a crash leaves of it is found and removed.
        labels = names.ownership_labels(self._installation, names.POOL)
        options = {"size": str(_PROBE_BYTES)}
        try:
            await self._docker.call(
                lambda api: api.create_volume(name, "local", options, labels=labels)
            )
        except EngineUnavailableError:
            raise
        except SandboxError:
            return False
        await self._docker.remove_volume(name)
        return True


def may_have_quotas(info: dict[str, Any]) -> bool:
    """The one combination in which an engine limits its containers and its volumes alike."""
    backing = dict(info["DriverStatus"] or ()).get("Backing Filesystem", "")
    return bool(info["Driver"] == "overlay2" and backing == "xfs")
