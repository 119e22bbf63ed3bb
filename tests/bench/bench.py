"""What the rows share: the engine, one real server with a signed-in client, and how much to do."""

import asyncio
import contextlib
import os
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import django

from sessions.sandbox.docker import DockerBackend
from tests.bench.sandboxes import backend
from tests.serve.berth_client import BerthClient
from tests.serve.server_process import ServerProcess, berth_environment, manage

INSTALLATION_PREFIX = "bench-"


class Bench:
    """`docker` is for containers without a server; `server` is started when first asked for."""

    def __init__(self, *, is_quick: bool, var_dir: Path) -> None:
        self.is_quick = is_quick
        self.var_dir = var_dir
        self.installation = INSTALLATION_PREFIX + uuid.uuid4().hex[:8]
        # Another one than the server's, which removes what no session of its own needs.
        self.docker: DockerBackend = backend(f"{self.installation}-boxes")
        self._server: ServerProcess | None = None
        self._client: BerthClient | None = None

    def count(self, full: int, *, quick: int) -> int:
        return quick if self.is_quick else full

    @property
    def has_server(self) -> bool:
        return self._server is not None

    async def server(self) -> ServerProcess:
        if self._server is None:
            environment = berth_environment(
                self.var_dir, self.installation, BERTH_SCRIPTED_DELAY_S="0"
            )
            migrated = await asyncio.to_thread(manage, environment, "migrate", "--verbosity", "0")
            assert migrated.returncode == 0, migrated.stderr
            self._server = await asyncio.to_thread(ServerProcess(environment).start)
        return self._server

    async def client(self) -> BerthClient:
        server = await self.server()
        if self._client is None:
            self._client = await asyncio.to_thread(BerthClient, server.url, server.link)
        return self._client

    async def aclose(self) -> None:
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)
        for docker in (self.docker, backend(self.installation)):
            for container in await docker.containers():
                await docker.remove(container.container_id)
            for volume in await docker.volumes():
                await docker.remove_volume(volume)
            await docker.close()


@contextlib.asynccontextmanager
async def bench(*, is_quick: bool) -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        # Rows that use the project's models are imported after this.
        os.environ["BERTH_VAR_DIR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "webapp.settings"
        django.setup()
        context = Bench(is_quick=is_quick, var_dir=Path(folder))
        try:
            yield context
        finally:
            await context.aclose()
