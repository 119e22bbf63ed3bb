"""Sessions, their turns and their log; keys and links that let people in."""

from sessions.models.access import (
    Allowance,
    ApiKey,
    SignInLink,
)
from sessions.models.chat import ChatCompletion
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
    SessionSkill,
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
from sessions.models.vector_stores import (
    VectorBlock,
    VectorChunk,
    VectorStore,
    VectorStoreBatch,
    VectorStoreFile,
)

__all__ = [
    "DEFAULT_EXPIRES_AFTER_S",
    "TURN_TRANSITIONS",
    "Allowance",
    "ApiKey",
    "ApiResponse",
    "ChatCompletion",
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
    "SessionSkill",
    "SessionStatus",
    "Shell",
    "SignInLink",
    "Skill",
    "SkillVersion",
    "StoredFile",
    "Turn",
    "TurnStatus",
    "Upload",
    "VectorBlock",
    "VectorChunk",
    "VectorStore",
    "VectorStoreBatch",
    "VectorStoreFile",
]
