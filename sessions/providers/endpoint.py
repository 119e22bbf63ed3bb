"""Where an OpenAI-shaped API is reached, and with what patience."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

DEFAULT_BASE_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    base_url: str = DEFAULT_BASE_URL
    api_key: str = field(default="", repr=False)
    """Empty for endpoints that want none."""
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 300.0
    """The longest silence within a stream."""
    is_proxied: bool = True
    """False for loopback: HTTP_PROXY and the like are not for it."""

    @property
    def shown_url(self) -> str:
        """The base URL as a person may see it: without credentials."""
        parts = urlsplit(self.base_url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` counts the first one. Waits double from `first_wait_s`, less up to a quarter."""

    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    longest_server_wait_s: float = 120.0
    """A server that asks for more (Retry-After) is not waited for."""
