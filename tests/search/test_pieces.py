"""Texts in pieces: nothing lost, nothing too long, each with the vector of its words."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sessions.search.embedding import DIMENSIONS, embedder, packed, similarities
from sessions.search.pieces import SEGMENT_CHARS, pieces, segments


def cut(text: str, max_tokens: int, overlap_tokens: int) -> list[str]:
    made = pieces([text], embedder(), max_tokens=max_tokens, overlap_tokens=overlap_tokens)
    return [piece.text for piece in made]


@given(st.lists(st.text(max_size=3 * SEGMENT_CHARS), max_size=4))
def test_segments_are_the_same_text(parts: list[str]) -> None:
    made = list(segments(parts))
    assert "".join(made) == "".join(parts)
    assert all(len(segment) <= SEGMENT_CHARS for segment in made)


def test_a_short_text_is_one_piece() -> None:
    assert cut("Hello there.", 800, 400) == ["Hello there."]
    assert cut(" \n ", 800, 400) == []
    assert cut("", 800, 400) == []


def test_pieces_overlap_and_hold_every_word() -> None:
    words = [f"word{number}" for number in range(3000)]
    made = cut(" ".join(words), 100, 50)
    assert all(len(embedder().tokens(piece)) <= 102 for piece in made)
    ends = [piece.split()[-2] for piece in made[:-1]]
    assert all(end in after.split() for end, after in zip(ends, made[1:], strict=True))
    assert set(words) <= {word for piece in made for word in piece.split()}


def test_characters_of_several_tokens_stay_whole() -> None:
    text = "😀🏳️‍🌈 中文字 ñandú " * 200
    assert "\ufffd" not in "".join(cut(text, 100, 0))
    assert "".join("".join(cut(text, 100, 0)).split()) == "".join(text.split())


def test_half_characters_are_no_trouble() -> None:
    assert cut("a \ud800 b", 100, 0)


def test_vectors_are_of_unit_length_and_survive_being_stored() -> None:
    wanted = embedder().embed("paid vacation")
    assert wanted.shape == (DIMENSIONS,)
    assert abs(float(np.linalg.norm(wanted)) - 1) < 1e-5
    rows = [embedder().embed(text) for text in ("holiday with pay", "jammed printer", "the pay")]
    block = packed([np.stack(rows[:2]), np.stack(rows[1:2]), np.stack(rows[2:])])
    cosines = [float(row @ wanted) for row in rows]
    expected = [max(cosines[:2]), *cosines[1:]]
    assert np.allclose(similarities(block, wanted), expected, atol=0.01)
    assert not embedder().vector([]).any()


def test_a_sentence_in_a_long_piece_is_found_by_what_it_says() -> None:
    filler = (
        "The minutes of the meeting list who came and what was decided about the budget. " * 30
    )
    text = f"{filler}Employees are entitled to thirty days of paid vacation. {filler}"
    (long,) = pieces([text], embedder(), max_tokens=4096, overlap_tokens=0)
    wanted = embedder().embed("holiday")
    whole = embedder().embed(text)
    assert similarities(packed([long.vectors]), wanted)[0] > float(whole @ wanted) + 0.1


def test_what_pieces_share_has_its_vectors_once() -> None:
    made = list(pieces(["word " * 1000], embedder(), max_tokens=100, overlap_tokens=50))
    assert [len(piece.vectors) for piece in made[:3]] == [3, 2, 2]
