"""Words of queries, conditions, and the one order of what two ways found."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions.search.filters import matches
from sessions.search.ranking import Weights, best, fused
from sessions.search.words import MAX_WORDS, coverage, postgres_query, sqlite_query, words_of


def parts(query: str) -> list[tuple[str, ...]]:
    return [word.parts for word in words_of(query)]


def test_a_query_is_its_words_without_those_that_are_everywhere() -> None:
    assert parts("How do I reset the Router?") == [("reset",), ("router",)]
    assert parts("the who") == [("the",), ("who",)], "there is nothing else"
    assert parts("ERR_4711 in foo.bar-baz") == [("err", "4711"), ("foo", "bar", "baz")]
    assert parts("!? ,") == []
    assert len(parts(" ".join(f"w{n}" for n in range(100)))) == MAX_WORDS


@given(st.text())
def test_no_text_becomes_syntax(query: str) -> None:
    words = words_of(query)
    if words:
        inside = sqlite_query(words, ["0" * 32]).split("text : ", 1)[1]
        assert inside.count('"') == postgres_query(words).count('"') == 2 * len(words)
    assert 0 <= coverage(words, query) <= 1


def test_coverage_is_more_for_what_names_one_thing() -> None:
    words = words_of("meaning of error E-4711")
    assert coverage(words, "E-4711: disk") > coverage(words, "the meaning of the error E-4712")
    assert coverage(words_of("indexed file"), "Indexing files") == 1


def test_ranks_are_fused_and_scaled_by_how_near_a_piece_comes() -> None:
    scores = fused([(1, 0.9), (2, 0.5)], [(2, 1.0), (3, 0.1)], Weights())
    assert scores[2] > scores[1] > scores[3]
    assert fused([(1, 1.0)], [(1, 1.0)], Weights()) == {1: 1.0}
    assert fused([(1, 0.9)], [(2, 1.0)], Weights(meaning=0.0)) == {2: 1.0}
    assert fused([(1, -0.5)], [], Weights()) == {1: 0.0}


@given(
    st.lists(st.tuples(st.integers(0, 20), st.floats(-1, 1)), unique_by=lambda pair: pair[0]),
    st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1)), unique_by=lambda pair: pair[0]),
    st.tuples(st.floats(0.01, 1000), st.floats(0, 1000)),
)
def test_scores_are_from_0_to_1(near: Any, told: Any, weights: tuple[float, float]) -> None:
    scores = fused(near, told, Weights(*weights))
    assert all(0 <= score <= 1 + 1e-9 for score in scores.values())
    found = best(scores, count=5, threshold=0.3)
    assert len(found) <= 5
    assert all(score >= 0.3 for _, score in found)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"type": "eq", "key": "n", "value": 1}, True),
        ({"type": "eq", "key": "n", "value": 1.0}, True),
        ({"type": "eq", "key": "n", "value": True}, False),
        ({"type": "eq", "key": "b", "value": 1}, False),
        ({"type": "eq", "key": "none", "value": "x"}, False),
        ({"type": "ne", "key": "none", "value": "x"}, True),
        ({"type": "nin", "key": "none", "value": ["x"]}, True),
        ({"type": "in", "key": "s", "value": ["x", "a"]}, True),
        ({"type": "gt", "key": "s", "value": 0}, False),
        ({"type": "lt", "key": "s", "value": "b"}, True),
        ({"type": "gte", "key": "none", "value": 0}, False),
        ({"type": "gt", "key": "b", "value": False}, False),
        ({"type": "and", "filters": []}, True),
        ({"type": "or", "filters": []}, False),
    ],
)
def test_conditions(condition: Any, expected: bool) -> None:
    assert matches(condition, {"n": 1, "s": "a", "b": True}) is expected
