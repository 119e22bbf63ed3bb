"""What an error of an OpenAI-shaped API means, told from its status, code and words.

Pure: `describe` takes facts and returns the ProviderError to raise. Servers differ in their codes,
so the words of the message count as well (vLLM, llama-server, Ollama and gateways).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sessions.errors import (
    AuthenticationFailedError,
    ContextOverflowError,
    ModelRefusedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
)

_CONTEXT_CODES = {"context_length_exceeded", "exceed_context_size_error", "request_too_large"}
_CONTEXT_WORDS = re.compile(
    r"(maximum|max|available|model'?s?) context (length|size|window)|context (length|window|size) "
    r"(of|is|exceed)|exceeds? the (\w+ )?(context|maximum number of tokens)|prompt is too long|"
    r"too many (input )?tokens|input (is|length|tokens?) (too long|exceeds?)|"
    r"reduce the length of the (messages|input|prompt)",
    re.IGNORECASE,
)
_QUOTA_CODES = {
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
}
_KEY_CODES = {"invalid_api_key", "authentication_error", "account_deactivated"}
_MODEL_CODES = {"model_not_found", "model_not_available", "unsupported_model"}
_MODEL_WORDS = re.compile(
    r"\bmodel\b.{0,200}(not found|does not exist|do(es)? not have access|not available|"
    r"not supported|unknown|is not allowed)|(unknown|invalid|no such|unsupported) model",
    re.IGNORECASE | re.DOTALL,
)
_PASSING_STATUSES = {408, 409, 429}
_PASSING_CODES = {
    "rate_limit_exceeded",
    "slow_down",
    "server_error",
    "server_is_overloaded",
    "overloaded_error",
    "internal_server_error",
    "internal_error",
    "api_error",
    "timeout",
    "vector_store_timeout",
}
_SECRET = re.compile(
    r"\b((?:sk|pk|key|rk|gsk|xai|AIza)[-_])[\w\-*.]{6,}|(Bearer\s+)\S+", re.IGNORECASE
)
MAX_MESSAGE_LENGTH = 600


@dataclass(frozen=True, slots=True)
class Facts:
    """`status` is None when the failure came inside a stream or before any answer."""

    message: str
    status: int | None = None
    code: str = ""
    type: str = ""
    param: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""

    @property
    def codes(self) -> set[str]:
        return {self.code.lower(), self.type.lower()} - {""}


def describe(facts: Facts, *, model: str, base_url: str, api_key: str = "") -> ProviderError:
    """The error to raise, with a sentence to act on. Never holds the key."""
    text = mask_secrets(facts.message, api_key)
    if _is_context(facts):
        return ContextOverflowError(
            f"The conversation no longer fits the model: {text}",
            hint="Start a new session, or use a model with a larger context.",
        )
    if facts.codes & _QUOTA_CODES or facts.status == 402:
        return QuotaExceededError(
            f"The account behind the key has nothing left: {text}",
            hint="Check plan, credit and spend limits of the account, then send the task again.",
        )
    if facts.status == 401 or facts.codes & _KEY_CODES:
        return AuthenticationFailedError(
            f"The endpoint does not accept the key: {text}",
            hint="Check OPENAI_API_KEY and that it belongs to OPENAI_BASE_URL, then restart.",
        )
    if facts.codes & _MODEL_CODES or (
        facts.status in {400, 403, 404, 422} and _MODEL_WORDS.search(facts.message)
    ):
        return ModelRefusedError(
            f"The endpoint refuses the model {model}: {text}",
            hint="Choose a model this key may use (BERTH_MODEL) and start a new session.",
        )
    if facts.status == 403:
        return AuthenticationFailedError(
            f"The key is not allowed to do this: {text}",
            hint="Check the permissions of OPENAI_API_KEY with its provider.",
        )
    return ProviderUnavailableError(
        f"{_what_happened(facts)}: {text}", hint=_hint(facts, base_url), param=facts.param or None
    )


def is_passing(facts: Facts) -> bool:
    """Whether another attempt may succeed. The server's own word (x-should-retry) comes first."""
    said = facts.headers.get("x-should-retry", "").lower()
    if said in {"true", "false"}:
        return said == "true"
    if facts.codes & _QUOTA_CODES or _is_context(facts):
        return False
    if facts.status is not None:
        return facts.status in _PASSING_STATUSES or facts.status >= 500
    # Inside a stream: an error without a code says only that the server broke off.
    return bool(facts.codes & _PASSING_CODES) or not facts.codes


def _is_context(facts: Facts) -> bool:
    if facts.codes & _CONTEXT_CODES or facts.status == 413:
        return True
    # Rate limits speak of tokens as well.
    return facts.status != 429 and bool(_CONTEXT_WORDS.search(facts.message))


def _what_happened(facts: Facts) -> str:
    if facts.status is None:
        return "The model's answer broke off"
    if facts.status == 429:
        return "The endpoint limits the rate of requests"
    if facts.status >= 500:
        return f"The endpoint failed (HTTP {facts.status})"
    return f"The endpoint refused the request (HTTP {facts.status})"


def _hint(facts: Facts, base_url: str) -> str:
    if facts.status == 404:
        return f"Check OPENAI_BASE_URL ({base_url}); most endpoints end in /v1."
    if facts.status is not None and 400 <= facts.status < 500 and facts.status != 429:
        return "The request does not suit this endpoint; the other API (BERTH_OPENAI_API) may."
    return "Wait a little and send the task again."


def mask_secrets(text: str, api_key: str = "") -> str:
    """`text` cut to a readable length, without the key and whatever looks like one."""
    if len(api_key) >= 4:
        text = text.replace(api_key, "[key]")
    text = _SECRET.sub(lambda found: f"{found[1] or found[2]}[hidden]", text)
    text = " ".join(text.split()) or "no reason given"
    return text if len(text) <= MAX_MESSAGE_LENGTH else text[:MAX_MESSAGE_LENGTH] + " …"
