"""How Berth's things are called in a Docker engine. Labels find them; names only help people."""

import secrets
from collections.abc import Mapping

INSTALLATION_LABEL = "berth.installation"
SESSION_LABEL = "berth.session"
IMAGE_LABEL = "berth.sandbox"
RECIPE_LABEL = "berth.recipe"
GUEST_LABEL = "berth.guest"

SANDBOX_IMAGE = "berth/sandbox"
SLIM_IMAGE = "berth/sandbox-slim"
BASE_IMAGE = "berth/base"

POOL = "pool"
"""Stands for a session in labels and names of what was made before its session."""

HOSTNAME = "berth"
WORKSPACE_PATH = "/workspace"
GUEST_PATH = "/.berth"
SKILLS_PATH = "/.skills"
HOSTED_SKILLS_PATH = "/home/oai/skills"
"""Leads to `SKILLS_PATH`, unless the image has something of its own there (guest/serve.py)."""


def ownership_labels(installation: str, session_id: str) -> dict[str, str]:
    return {INSTALLATION_LABEL: installation, SESSION_LABEL: session_id}


def owner_filter(installation: str) -> dict[str, str]:
    """The engine's list filter for everything this installation made for sessions."""
    return {"label": f"{INSTALLATION_LABEL}={installation}"}


def session_of(labels: Mapping[str, str] | None) -> str:
    """Empty for what carries no session, such as a volume somebody else labelled."""
    return (labels or {}).get(SESSION_LABEL, "")


def container_name(session_id: str = "") -> str:
    """A new one each time."""
    return f"berth-{session_id or POOL}-{secrets.token_hex(4)}"


def workspace_volume_name(session_id: str = "") -> str:
    """A new one each time."""
    return f"berth-ws-{session_id or POOL}-{secrets.token_hex(4)}"


def guest_volume_name(content_hash: str) -> str:
    return f"berth-guest-{content_hash[:20]}"


def skill_folder(name: str, digest: str) -> str:
    """As hosted containers call it. The same content has the same folder, wherever it is."""
    return f"{name}-{digest[:32]}"


def skill_path(name: str, digest: str) -> str:
    return f"{SKILLS_PATH}/{skill_folder(name, digest)}"


def with_tag(image: str) -> str:
    """`name` as the engine lists it: `name:latest` when it says neither tag nor digest."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def without_latest(image: str) -> str:
    """The short name people use for an image: `name` for `name:latest`."""
    return image.removesuffix(":latest")
