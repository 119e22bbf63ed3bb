"""What programs send to and get from `/v1/vector_stores`."""

from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, StringConstraints, model_validator

from sessions.api.metadata import MAX_PAIRS, Metadata
from sessions.api.schema import Identified, ListPage, PageQuery, RequestPart, Resource

MAX_FILE_IDS = 500
MAX_BATCH = 2_000
MAX_QUERIES = 16
MAX_QUERY_CHARS = 4_096
MAX_FILTERS = 256
"""Of one condition, however deep they lie."""
MAX_FILTER_DEPTH = 8
MAX_WHOLE = 2**53
"""Above it a number is no longer the one that was sent, for whoever reads it as most do."""
DEFAULT_RESULTS = 10
MAX_RESULTS = 50

Whole = Annotated[int, Field(ge=-MAX_WHOLE, le=MAX_WHOLE)]
AttributeValue = Annotated[str, StringConstraints(max_length=512)] | bool | Whole | FiniteFloat
Attributes = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], AttributeValue],
    Field(max_length=MAX_PAIRS),
]
Query = Annotated[str, StringConstraints(min_length=1, max_length=MAX_QUERY_CHARS)]


# How files are cut


class AutoChunking(RequestPart):
    type: Literal["auto"]


class StaticSizes(RequestPart):
    max_chunk_size_tokens: int = Field(ge=100, le=4096)
    chunk_overlap_tokens: int = Field(ge=0)

    @model_validator(mode="after")
    def _check_overlap(self) -> "StaticSizes":
        if self.chunk_overlap_tokens * 2 > self.max_chunk_size_tokens:
            raise ValueError("chunk_overlap_tokens is more than half of max_chunk_size_tokens")
        return self


class StaticChunking(RequestPart):
    type: Literal["static"]
    static: StaticSizes


Chunking = Annotated[AutoChunking | StaticChunking, Field(discriminator="type")]


# Stores


class ExpiresAfter(RequestPart):
    anchor: Literal["last_active_at"]
    days: int = Field(ge=1, le=365)


class CreateVectorStore(RequestPart):
    name: str | None = Field(None, max_length=256)
    description: str | None = Field(None, max_length=4096)
    file_ids: list[str] | None = Field(None, max_length=MAX_FILE_IDS)
    expires_after: ExpiresAfter | None = None
    chunking_strategy: Chunking | None = None
    metadata: Metadata | None = None


class UpdateVectorStore(RequestPart):
    name: str | None = Field(None, max_length=256)
    expires_after: ExpiresAfter | None = None
    metadata: Metadata | None = None


class FileCounts(Resource):
    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class ExpiresAfterObject(Resource):
    anchor: Literal["last_active_at"] = "last_active_at"
    days: int


class VectorStoreObject(Identified):
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str
    description: str | None
    usage_bytes: int
    file_counts: FileCounts
    status: Literal["expired", "in_progress", "completed"]
    expires_after: ExpiresAfterObject | None
    expires_at: int | None
    last_active_at: int | None
    metadata: dict[str, str]


class VectorStoreList(ListPage[VectorStoreObject]):
    pass


class CursorQuery(PageQuery):
    before: str | None = Field(None, description="Id of the first object seen, to go back.")


# Files


class AddFile(RequestPart):
    file_id: str
    attributes: Attributes | None = None
    chunking_strategy: Chunking | None = None


class UpdateFile(RequestPart):
    attributes: Attributes | None


class AddBatch(RequestPart):
    """Either `file_ids`, with what goes for all of them, or `files`."""

    file_ids: list[str] | None = Field(None, min_length=1, max_length=MAX_BATCH)
    files: list[AddFile] | None = Field(None, min_length=1, max_length=MAX_BATCH)
    attributes: Attributes | None = None
    chunking_strategy: Chunking | None = None


class StaticSizesObject(Resource):
    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class StaticChunkingObject(Resource):
    type: Literal["static"] = "static"
    static: StaticSizesObject


class LastError(Resource):
    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


class StoreFileObject(Identified):
    object: Literal["vector_store.file"] = "vector_store.file"
    usage_bytes: int
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    last_error: LastError | None
    chunking_strategy: StaticChunkingObject
    attributes: dict[str, Any]


class StoreFileList(ListPage[StoreFileObject]):
    pass


class FilesQuery(CursorQuery):
    filter: Literal["in_progress", "completed", "failed", "cancelled"] | None = None


class BatchObject(Identified):
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    file_counts: FileCounts


class TextContent(Resource):
    type: Literal["text"] = "text"
    text: str


class FileContentPage(Resource):
    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[TextContent]
    has_more: bool = False
    next_page: str | None


# Searching


Scalar = str | bool | Whole | FiniteFloat


class ComparisonFilter(RequestPart):
    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str = Field(max_length=64)
    value: Scalar | Annotated[list[Scalar], Field(max_length=MAX_FILTERS)]

    @model_validator(mode="after")
    def _check_value(self) -> "ComparisonFilter":
        if isinstance(self.value, list) != (self.type in ("in", "nin")):
            raise ValueError("only 'in' and 'nin' compare with an array, and they do always")
        return self


class CompoundFilter(RequestPart):
    type: Literal["and", "or"]
    filters: list["Filter"] = Field(max_length=MAX_FILTERS)

    @model_validator(mode="after")
    def _check_size(self) -> "CompoundFilter":
        if _depth(self) > MAX_FILTER_DEPTH or _count(self) > MAX_FILTERS:
            message = f"up to {MAX_FILTERS} filters in {MAX_FILTER_DEPTH} levels are taken"
            raise ValueError(message)
        return self


Filter = Annotated[ComparisonFilter | CompoundFilter, Field(discriminator="type")]
CompoundFilter.model_rebuild()


def _depth(one: ComparisonFilter | CompoundFilter) -> int:
    if isinstance(one, ComparisonFilter):
        return 1
    return 1 + max(map(_depth, one.filters), default=0)


def _count(one: ComparisonFilter | CompoundFilter) -> int:
    if isinstance(one, ComparisonFilter):
        return 1
    return 1 + sum(map(_count, one.filters))


class HybridWeights(RequestPart):
    embedding_weight: FiniteFloat = Field(ge=0, le=1000)
    text_weight: FiniteFloat = Field(ge=0, le=1000)

    @model_validator(mode="after")
    def _check_sum(self) -> "HybridWeights":
        if not self.embedding_weight and not self.text_weight:
            raise ValueError("one of the weights has to be above 0")
        return self


class SearchRanking(RequestPart):
    ranker: Literal["none", "auto", "default-2024-11-15"] | None = None
    score_threshold: FiniteFloat | None = Field(None, ge=0, le=1)
    hybrid_search: HybridWeights | None = None


class SearchVectorStore(RequestPart):
    query: Query | Annotated[list[Query], Field(min_length=1, max_length=MAX_QUERIES)]
    filters: Filter | None = None
    max_num_results: int = Field(DEFAULT_RESULTS, ge=1, le=MAX_RESULTS)
    ranking_options: SearchRanking | None = None
    rewrite_query: Literal[False] | None = Field(
        None, description="Queries are searched for as they are sent."
    )


class SearchResult(Resource):
    file_id: str
    filename: str
    score: float
    attributes: dict[str, Any]
    content: list[TextContent]


class SearchResultsPage(Resource):
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchResult]
    has_more: bool = False
    next_page: str | None
