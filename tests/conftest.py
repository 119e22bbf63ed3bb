"""Fixtures that every part shares: people, sessions, and a runtime over real guests."""

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from hypothesis import settings as hypothesis_settings

from sessions import services
from sessions.models import Session
from sessions.runtime.archives import Archives
from sessions.runtime.process import Runtime, SandboxConfig
from sessions.runtime.sandboxes import Sandboxes
from sessions.runtime.wiring import max_limits, use_runtime
from sessions.sandbox.channel import open_channel
from sessions.sandbox.limits import Limits
from tests.sandbox.child_backend import ChildBackend
from tests.scripted_models import ScriptedModels

pytest_plugins = ["tests.no_silent_skips", "tests.emptied_tables"]

# By default an example that takes 200 ms fails, as it may on a machine that does something else.
hypothesis_settings.register_profile("berth", deadline=None)
hypothesis_settings.load_profile("berth")


def pytest_unconfigure() -> None:
    """Threads of a test may still have the database open when it is removed; then the files of its
    write-ahead log stay."""
    for left in Path(django_settings.VAR_DIR).glob(f"test-{os.getpid()}.sqlite3*"):
        left.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _cheap_passwords(settings) -> None:
    """Real hashing is slow on purpose; what is tested here does not depend on it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def alice(transactional_db) -> User:
    """The owner in every access test."""
    return User.objects.create_user("alice", password="alice's long password")


@pytest.fixture
def bob(transactional_db) -> User:
    """Another user, who must never see what is alice's."""
    return User.objects.create_user("bob", password="bob's long password")


@pytest.fixture
def admin(transactional_db) -> User:
    return User.objects.create_superuser("root", password="root's long password")


@pytest.fixture
async def agent_session(alice: User) -> Session:
    """A session of alice's with its first turn queued."""
    return await services.session_create(
        owner=alice,
        text="Say hello",
        provider="scripted",
        model="scripted",
        image="berth/sandbox-slim",
        limits=Limits(),
    )


@pytest.fixture
def unknown_id() -> uuid.UUID:
    return uuid.uuid4()


@pytest.fixture
async def sandbox_runtime(settings, tmp_path: Path) -> AsyncIterator[Runtime]:
    """This process's runtime over guests that are plain child processes."""
    settings.VAR_DIR = tmp_path
    runtime = Runtime(
        sandboxes=Sandboxes(
            ChildBackend(), open_channel, archives=Archives(tmp_path / "archives")
        ),
        models=ScriptedModels(),
        config=SandboxConfig("child", Limits(), max_limits()),
    )
    use_runtime(runtime)
    yield runtime
    use_runtime(None)
    await runtime.aclose()
