"""Searching a vector store: filters, weights, limits, and queries that mean to be syntax."""

from typing import Any

import openai
import pytest

from tests.api.vector_stores import LEAVE, Client, added, names

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervisor")]


async def test_filters_and_limits(client: Client) -> None:
    store = await client.vector_stores.create()
    for year in (2024, 2025, 2026):
        await added(
            client,
            store.id,
            f"{year}.md",
            LEAVE + b"In %d." % year,
            attributes={"year": year, "kind": "policy", "is_final": year == 2024},
        )

    async def filtered(filters: Any) -> list[str]:
        return sorted(await names(client, store.id, "vacation", filters=filters))

    def of_year(kind: str, value: Any) -> Any:
        return {"type": kind, "key": "year", "value": value}

    assert await filtered(of_year("gte", 2025)) == ["2025.md", "2026.md"]
    assert await filtered(of_year("eq", "2025")) == [], "a number is no text"
    assert await filtered(of_year("in", [2024, 2026])) == ["2024.md", "2026.md"]
    assert await filtered(of_year("nin", [2024])) == ["2025.md", "2026.md"]
    assert await filtered({"type": "eq", "key": "is_final", "value": True}) == ["2024.md"]
    both = {"type": "or", "filters": [of_year("lt", 2025), of_year("gt", 2025)]}
    policy = {"type": "eq", "key": "kind", "value": "policy"}
    assert await filtered({"type": "and", "filters": [policy, both]}) == ["2024.md", "2026.md"]
    assert len(await names(client, store.id, "vacation", max_num_results=2)) == 2
    assert await names(client, store.id, "2025 vacation", max_num_results=1) == ["2025.md"]
    page = await client.vector_stores.search(store.id, query=["red printer", "vacation days"])
    scores = [found.score for found in page.data]
    assert scores == sorted(scores, reverse=True)
    bar = (scores[0] + scores[-1]) / 2
    high = await client.vector_stores.search(
        store.id, query=["vacation days"], ranking_options={"score_threshold": bar}
    )
    assert all(found.score >= bar for found in high.data)


async def test_meaning_and_words_are_weighed(client: Client) -> None:
    store = await client.vector_stores.create()
    await added(client, store.id, "leave.md", LEAVE)
    await added(client, store.id, "code.md", b"The holiday flag is HOLIDAY_FLAG=1.\n" * 3)
    query = "paid time off"
    ranking: Any
    for ranking in (
        {"ranker": "none"},
        {"hybrid_search": {"embedding_weight": 1, "text_weight": 0}},
    ):
        assert (await names(client, store.id, query, ranking_options=ranking))[0] == "leave.md"
    words = {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
    assert await names(client, store.id, "HOLIDAY_FLAG", ranking_options=words) == ["code.md"]
    assert await names(client, store.id, "nothing of it", ranking_options=words) == []
    nothing = {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}
    with pytest.raises(openai.BadRequestError):
        await names(client, store.id, query, ranking_options=nothing)


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "'",
        '" OR "',
        "a AND",
        "NEAR(",
        "*",
        "store_id:x",
        "text : (",
        "-",
        "^a",
        "\0",
        "%s",
        "()",
    ],
)
async def test_no_query_is_read_as_syntax(client: Client, query: str) -> None:
    store = await client.vector_stores.create()
    await added(client, store.id, "leave.md", LEAVE)
    for text in (query, f"vacation {query}"):
        await client.vector_stores.search(store.id, query=text)
    assert await names(client, store.id, f"vacation {query}") == ["leave.md"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": "a", "rewrite_query": True}, "rewrite_query"),
        ({"query": "a", "max_num_results": 51}, "max_num_results"),
        ({"query": ""}, "query"),
        ({"query": []}, "query"),
        ({"query": "a", "surprise": 1}, "surprise"),
        (
            {"query": "a", "ranking_options": {"score_threshold": 2}},
            "ranking_options.score_threshold",
        ),
        ({"query": "a", "filters": {"type": "like", "key": "a", "value": "b"}}, "filters"),
        ({"query": "a", "filters": {"type": "eq", "key": "a", "value": ["b"]}}, "filters"),
        ({"query": "a", "filters": {"type": "in", "key": "a", "value": "b"}}, "filters"),
    ],
)
async def test_what_cannot_be_searched_for_is_refused_by_name(
    client: Client, body: dict[str, Any], param: str
) -> None:
    store = await client.vector_stores.create()
    with pytest.raises(openai.BadRequestError) as refused:
        await client.vector_stores.search(store.id, query="x", extra_body=body)
    assert refused.value.param == param


async def test_a_filter_of_filters_has_an_end(client: Client) -> None:
    store = await client.vector_stores.create()
    deep: Any = {"type": "eq", "key": "a", "value": "b"}
    for _ in range(20):
        deep = {"type": "and", "filters": [deep]}
    wide = {"type": "or", "filters": [{"type": "eq", "key": "a", "value": n} for n in range(300)]}
    for filters in (deep, wide):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.vector_stores.search(store.id, query="x", filters=filters)
        assert str(refused.value.param).startswith("filters")
