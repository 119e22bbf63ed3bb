"""The one door to the docker SDK: blocking calls run on a few threads, errors come out as ours."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from docker.utils import kwargs_from_env

from sessions.errors import EngineUnavailableError, SandboxError
from sessions.sandbox.engine_address import EngineAddress
from sessions.sandbox.failure import classify, is_gone_already

T = TypeVar("T")

CALL_TIMEOUT_S = 60
PROBE_TIMEOUT_S = 3
"""A living engine answers a ping in a millisecond; one that does not is given up quickly."""
PROBE_AFTER_S = 2.0
OLDEST_VERSION = "1.41"

_ENGINE_ERRORS = (
    DockerException,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)


class AsyncDocker:
    """`host` is what DOCKER_HOST would say; empty means DOCKER_HOST itself, or the default socket.

    Nothing is connected before the first call, so an engine that is down only costs that call.
    """

    def __init__(self, host: str = "", *, workers: int = 6) -> None:
        self._host = host
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="docker")
        self._lock = threading.Lock()
        self._clients: dict[int, docker.APIClient] = {}
        self._version = ""
        self._answered_at = float("-inf")

    @property
    def address(self) -> EngineAddress:
        """Raises: EngineUnavailableError for an address Berth cannot use."""
        return EngineAddress.from_environment(self._host)

    async def call(
        self, verb: Callable[[docker.APIClient], T], *, timeout_s: int = CALL_TIMEOUT_S
    ) -> T:
        """Run `verb` on a worker thread. `timeout_s` bounds each wait for the engine's bytes.

        Raises: EngineUnavailableError, ContainerLostError, ImageNotFoundError, SandboxError.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._run, verb, timeout_s)

    async def remove_container(self, container: str) -> None:
        """Kill and remove it with its anonymous volumes; nothing happens when it is gone."""
        await self._remove(lambda api: api.remove_container(container, v=True, force=True))

    async def remove_volume(self, name: str) -> None:
        """Nothing happens when it is gone. Raises: SandboxError while a container uses it."""
        await self._remove(lambda api: api.remove_volume(name))

    async def _remove(self, verb: Callable[[docker.APIClient], object]) -> None:

        def forgiving(api: docker.APIClient) -> None:
            try:
                verb(api)
            except APIError as error:
                if not is_gone_already(error.status_code, error.explanation or ""):
                    raise

        await self.call(forgiving)

    async def create_container(self, config: dict[str, Any], name: str) -> str:
        """`config` is the engine's own JSON. Returns the id. Raises: ImageNotFoundError."""

        def create(api: docker.APIClient) -> str:
            created = api.create_container_from_config(config, name)  # type: ignore[no-untyped-call]
            return str(created["Id"])

        return await self.call(create)

    async def update_container(self, container: str, resources: dict[str, Any]) -> None:
        """`resources` is the engine's own JSON: the SDK's method knows neither processes nor CPUs.

        Raises: ContainerLostError.
        """

        def update(api: docker.APIClient) -> None:
            url = f"{api.base_url}/v{api.api_version}/containers/{quote(container)}/update"
            try:
                api.post(url, json=resources, timeout=CALL_TIMEOUT_S).raise_for_status()
            except requests.exceptions.HTTPError as error:
                create_api_error_from_http_exception(error)

        await self.call(update)

    async def inspect_image(self, image: str) -> dict[str, Any]:
        """Raises: ImageNotFoundError."""

        def inspect(api: docker.APIClient) -> dict[str, Any]:
            found: dict[str, Any] = api.inspect_image(image)  # type: ignore[no-untyped-call]
            return found

        return await self.call(inspect)

    async def api_version(self) -> str:
        """The newest API version both the engine and the SDK speak, such as `1.41`."""
        return await self.call(lambda api: api.api_version)

    async def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _run(self, verb: Callable[[docker.APIClient], T], timeout_s: int) -> T:
        try:
            if time.monotonic() - self._answered_at > PROBE_AFTER_S:
                self.address.check()
                self._client(PROBE_TIMEOUT_S).ping()
            result = verb(self._client(timeout_s))
        except APIError as error:
            raise classify(error.status_code, error.explanation or str(error)) from error
        except SandboxError:
            raise
        except _ENGINE_ERRORS as error:
            raise EngineUnavailableError(
                f"The Docker engine at {self.address} does not answer: {error}"
            ) from error
        self._answered_at = time.monotonic()
        return result

    def _client(self, timeout_s: int) -> docker.APIClient:
        with self._lock:
            if timeout_s not in self._clients:
                self._clients[timeout_s] = self._connect(timeout_s)
            return self._clients[timeout_s]

    def _connect(self, timeout_s: int) -> docker.APIClient:
        settings: dict[str, Any] = {**kwargs_from_env()}
        if self._host:
            settings["base_url"] = self._host
        if not self._version:
            self._version = self._newest_common_version(settings)
        return docker.APIClient(version=self._version, timeout=timeout_s, **settings)

    def _newest_common_version(self, settings: dict[str, Any]) -> str:
        """Asked by hand: the SDK's own way leaks the connection when there is no answer."""
        probe = docker.APIClient(version=OLDEST_VERSION, timeout=PROBE_TIMEOUT_S, **settings)
        try:
            answer = probe.version(api_version=False)
            return str(answer["ApiVersion"])
        except (KeyError, TypeError, ValueError) as error:
            raise EngineUnavailableError(f"{self.address} is not a Docker engine.") from error
        finally:
            probe.close()
