"""The composition root: builds this process's Runtime from settings, once."""

import datetime as dt

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from sessions.runtime.archives import Archives
from sessions.runtime.models import ConfiguredModels
from sessions.runtime.pool import PoolConfig, PoolSize
from sessions.runtime.process import Runtime, SandboxConfig
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.channel import open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.limits import GIB, MIB, Limits
from sessions.sandbox.setup import MountSource, parse_mounts

_runtime: Runtime | None = None


def runtime() -> Runtime:
    """The Runtime of this process; built at the first call."""
    global _runtime  # noqa: PLW0603  (one process, one runtime)
    if _runtime is None:
        _runtime = _build()
    return _runtime


def use_runtime(other: Runtime | None) -> None:
    """Let `runtime()` return `other`: for tests, and None to build anew."""
    global _runtime  # noqa: PLW0603
    _runtime = other


def default_limits() -> Limits:
    return Limits(
        memory_bytes=settings.BERTH_MEMORY_MB * MIB,
        cpus=settings.BERTH_CPUS,
        pids=settings.BERTH_PIDS,
        disk_bytes=settings.BERTH_DISK_MB * MIB,
        command_timeout_s=settings.BERTH_COMMAND_TIMEOUT_S,
        session_time_s=settings.BERTH_SESSION_HOURS * 3600,
        max_output_bytes=settings.BERTH_MAX_OUTPUT_MB * MIB,
        max_steps=settings.BERTH_MAX_STEPS,
    )


def max_limits() -> Limits:
    """What a person may ask for in a form: what the operator allows, never below the defaults."""
    default = default_limits()
    return Limits(
        memory_bytes=max(default.memory_bytes, settings.BERTH_MAX_MEMORY_MB * MIB),
        cpus=max(default.cpus, settings.BERTH_MAX_CPUS),
        pids=max(default.pids, settings.BERTH_MAX_PIDS),
        disk_bytes=max(default.disk_bytes, settings.BERTH_MAX_DISK_MB * MIB),
        command_timeout_s=max(default.command_timeout_s, settings.BERTH_MAX_COMMAND_TIMEOUT_S),
        session_time_s=max(default.session_time_s, settings.BERTH_MAX_SESSION_HOURS * 3600),
        max_output_bytes=max(1 * GIB, default.max_output_bytes),
        max_steps=max(1000, default.max_steps),
        max_tokens=50_000_000,
    )


def pool_sizes() -> dict[str, PoolSize]:
    """Read BERTH_POOL: `image=size`, or `image=size@seconds` between a claim and its refill; or
    `off`.

    Raises: ImproperlyConfigured.
    """
    if settings.BERTH_POOL == ["off"]:
        return {}
    sizes: dict[str, PoolSize] = {}
    for entry in settings.BERTH_POOL:
        image, _, rest = entry.rpartition("=")
        size, _, pause = rest.partition("@")
        if not image or not size.isdigit() or not (pause or "0").isdigit():
            raise ImproperlyConfigured(
                f"BERTH_POOL is a list of image=size or image=size@seconds, not {entry!r}."
            )
        if int(size):
            sizes[image] = PoolSize(int(size), float(pause or 0))
    return sizes


def mounts() -> dict[str, MountSource]:
    """Read BERTH_MOUNTS. Raises: ImproperlyConfigured."""
    try:
        return parse_mounts(settings.BERTH_MOUNTS)
    except ValueError as error:
        raise ImproperlyConfigured(f"BERTH_MOUNTS: {error}.") from error


def _retention() -> dt.timedelta | None:
    days = settings.BERTH_RETENTION_DAYS
    return dt.timedelta(days=days) if days else None


def _build() -> Runtime:
    backend = DockerBackend(
        installation=settings.BERTH_INSTALLATION_ID,
        allowed_images=settings.BERTH_IMAGES,
        guest_volume_image=settings.BERTH_GUEST_IMAGE,
    )
    return Runtime(
        sandboxes=Sandboxes(
            backend,
            open_channel,
            archives=Archives(settings.VAR_DIR / "archives"),
            pool=PoolConfig(pool_sizes(), default_limits()),
            mounts=mounts(),
        ),
        models=ConfiguredModels.from_settings(),
        config=SandboxConfig(
            default_image=settings.BERTH_DEFAULT_IMAGE,
            limits_default=default_limits(),
            limits_max=max_limits(),
            expires_after_s=round(settings.BERTH_IDLE_MINUTES * 60),
            allows_root=settings.BERTH_ROOT_COMMANDS,
            retention=_retention(),
        ),
    )
