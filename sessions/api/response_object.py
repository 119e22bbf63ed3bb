"""A response as it is given back, for the document. What makes it is `sessions.responses`."""

from typing import Literal

from pydantic import Field

from sessions.api import given
from sessions.api.responses import TextOptions, Tool, ToolChoice
from sessions.api.schema import Resource


class ResponseError(Resource):
    code: str
    message: str


class IncompleteDetails(Resource):
    reason: Literal["max_output_tokens", "content_filter"]


class ConversationOf(Resource):
    id: str


class InputTokens(Resource):
    cached_tokens: int
    cache_write_tokens: int


class OutputTokens(Resource):
    reasoning_tokens: int


class Usage(Resource):
    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    output_tokens_details: OutputTokens
    total_tokens: int


class ReasoningAsked(Resource):
    effort: str | None
    summary: str | None


class ResponseObject(Resource):
    model_config = {"extra": "allow"}

    id: str
    object: Literal["response"] = "response"
    created_at: int = Field(description="Seconds since 1970.")
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    background: bool
    completed_at: int | None
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    model: str = Field(description="The one that answered.")
    output: list[given.Item] = Field(description="What the model said and did, in its order.")
    previous_response_id: str | None
    conversation: ConversationOf | None
    store: bool
    instructions: str | None
    tools: list[Tool] = Field(description="A shell says which container it has.")
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    max_tool_calls: int | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    temperature: float
    top_p: float
    text: TextOptions
    reasoning: ReasoningAsked
    truncation: Literal["auto", "disabled"]
    service_tier: Literal["auto", "default"]
    top_logprobs: int
    frequency_penalty: float
    presence_penalty: float
    prompt_cache_key: str | None
    prompt_cache_retention: Literal["in_memory", "24h"] | None
    safety_identifier: str | None
    live_url: str | None = Field(description="Where a person watches it; null once that is gone.")
    user: str | None = None
    usage: Usage | None = Field(None, description="Once it has ended.")
