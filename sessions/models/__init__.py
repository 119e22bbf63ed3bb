"""Sessions, their turns and their log; keys and links that let people in."""

from sessions.models.access import (
    ApiKey,
    SignInLink,
)
from sessions.models.engine import (
    PooledContainer,
    Process,
    Reclaimed,
)
from sessions.models.programs import (
    ApiResponse,
    ContainerFile,
    Conversation,
    ConversationItem,
    Skill,
    SkillVersion,
    StoredFile,
)
from sessions.models.session import (
    DEFAULT_EXPIRES_AFTER_S,
    TURN_TRANSITIONS,
    ContainerState,
    Event,
    FileUpload,
    OpenExec,
    Session,
    SessionStatus,
    Shell,
    Turn,
    TurnStatus,
    Upload,
)

__all__ = [
    "DEFAULT_EXPIRES_AFTER_S",
    "TURN_TRANSITIONS",
    "ApiKey",
    "ApiResponse",
    "ContainerFile",
    "ContainerState",
    "Conversation",
    "ConversationItem",
    "Event",
    "FileUpload",
    "OpenExec",
    "PooledContainer",
    "Process",
    "Reclaimed",
    "Session",
    "SessionStatus",
    "Shell",
    "SignInLink",
    "Skill",
    "SkillVersion",
    "StoredFile",
    "Turn",
    "TurnStatus",
    "Upload",
]
