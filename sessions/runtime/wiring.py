"""The composition root: builds this process's Runtime from settings, once."""

from django.conf import settings

from sessions.runtime.models import ConfiguredModels
from sessions.runtime.process import Runtime, SandboxConfig
from sessions.runtime.sandboxes import Sandboxes
from sessions.sandbox.channel import open_channel
from sessions.sandbox.docker import DockerBackend
from sessions.sandbox.limits import GIB, MIB, Limits

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
        command_timeout_s=settings.BERTH_COMMAND_TIMEOUT_S,
        session_time_s=settings.BERTH_SESSION_HOURS * 3600,
        max_output_bytes=settings.BERTH_MAX_OUTPUT_MB * MIB,
        max_steps=settings.BERTH_MAX_STEPS,
    )


def max_limits() -> Limits:
    """What a person may ask for in a form."""
    return Limits(
        memory_bytes=64 * GIB,
        cpus=64,
        pids=32_768,
        command_timeout_s=24 * 3600,
        session_time_s=30 * 24 * 3600,
        max_output_bytes=1 * GIB,
        max_steps=1000,
        max_tokens=50_000_000,
    )


def _build() -> Runtime:
    backend = DockerBackend(
        installation=settings.BERTH_INSTALLATION_ID,
        allowed_images=settings.BERTH_IMAGES,
        guest_volume_image=settings.BERTH_GUEST_IMAGE,
    )
    return Runtime(
        sandboxes=Sandboxes(backend, open_channel),
        models=ConfiguredModels.from_settings(),
        config=SandboxConfig(
            default_image=settings.BERTH_DEFAULT_IMAGE,
            limits_default=default_limits(),
            limits_max=max_limits(),
        ),
    )
