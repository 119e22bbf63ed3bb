import hashlib

from hypothesis import given
from hypothesis import strategies as st

from sessions.agent.output import CappedOutput, HeadTail
from sessions.events.types import Output, OutputDropped
from sessions.sandbox.base import ExecOutput


@given(
    st.lists(st.one_of(st.binary(max_size=50), st.integers(1, 50)), max_size=40),
    st.integers(2, 100),
    st.integers(0, 100),
)
def test_narrowed_is_as_if_kept_so_from_the_start(
    pieces: list[bytes | int], limit: int, more: int
) -> None:
    wide, narrow = HeadTail(limit + more), HeadTail(limit)
    for piece in pieces:
        for kept in (wide, narrow):
            if isinstance(piece, int):
                kept.skip(piece)
            else:
                kept.add(piece)
    assert wide.narrowed(limit).text("/log") == narrow.text("/log")
    assert wide.narrowed(limit).total == narrow.total


@given(st.lists(st.binary(max_size=50), max_size=40), st.integers(2, 200))
def test_head_and_tail_together_keep_the_limit_and_count_the_rest(
    pieces: list[bytes], limit: int
) -> None:
    kept = HeadTail(limit)
    for piece in pieces:
        kept.add(piece)
    whole = b"".join(pieces)
    text = kept.text("/log")
    if len(whole) <= limit:
        assert text == whole.decode("utf-8", "replace")
    else:
        head, tail = whole[: limit // 2], whole[-(limit - limit // 2) :]
        omitted = len(whole) - limit
        assert text == (
            head.decode("utf-8", "replace")
            + f"\n[... {omitted:,} bytes omitted; all of it is in /log ...]\n"
            + tail.decode("utf-8", "replace")
        )


@given(
    st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.integers(1, 40)), max_size=60),
    st.integers(8, 400),
)
def test_capped_output_loses_only_what_it_says_it_lost(
    pieces: list[tuple[str, int]], max_bytes: int
) -> None:
    offsets = {"stdout": 0, "stderr": 0}
    whole = {"stdout": b"", "stderr": b""}
    capped = CappedOutput("c", max_bytes)
    events: list[Output | OutputDropped] = []
    for n, (stream, size) in enumerate(pieces):
        data = hashlib.sha256(str(n).encode()).digest()[:1] * size
        piece = ExecOutput(stream, offsets[stream], data)  # type: ignore[arg-type]
        offsets[stream] += size
        whole[stream] += data
        if stored_now := capped.add(piece):
            events.append(stored_now)
    events += capped.finish()

    for stream, expected in whole.items():
        covered = 0
        for event in sorted(
            (e for e in events if e.stream == stream), key=lambda event: event.offset
        ):
            assert event.offset == covered
            if isinstance(event, Output):
                end = covered + len(event.content)
                assert event.content == expected[covered:end]
                covered = end
            else:
                covered += event.length
        assert covered == len(expected)

    stored = sum(len(e.content) for e in events if isinstance(e, Output))
    # One piece may stand over the bound: pieces are never cut.
    assert stored <= max_bytes * 9 // 8 + 40
    if sum(offsets.values()) <= max_bytes:
        assert not any(isinstance(e, OutputDropped) for e in events)


def test_below_the_cap_nothing_waits_in_memory() -> None:
    capped = CappedOutput("c", 1000)
    events = [capped.add(ExecOutput("stdout", n * 100, bytes(100))) for n in range(10)]
    assert all(isinstance(event, Output) for event in events)
    assert list(capped.finish()) == []


def test_a_tail_in_crumbs_takes_little_memory() -> None:
    capped = CappedOutput("c", 8 * 1024 * 1024)
    capped.add(ExecOutput("stdout", 0, bytes(8 * 1024 * 1024)))
    for n in range(50_000):
        capped.add(ExecOutput("stderr", n, b"x"))
    *_, last = capped.finish()
    assert last == Output("c", "stderr", 49_999, b"x")
    held = sum(isinstance(event, Output) for event in capped.finish())
    assert held < 6_000
