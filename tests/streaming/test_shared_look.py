"""One look for many sockets."""

import asyncio

import pytest

from sessions.streaming.shared_look import SharedLook


class Counter:
    def __init__(self) -> None:
        self.keys: list[str] = []
        self.error: Exception | None = None

    async def __call__(self, key: str) -> str:
        self.keys.append(key)
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        return f"{key} {len(self.keys)}"


async def test_all_who_ask_within_the_time_share_one_look() -> None:
    counter = Counter()
    look = SharedLook(counter)
    answers = await asyncio.gather(*(look.get("a", max_age_s=60) for _ in range(20)))
    answers.append(await look.get("a", max_age_s=60))
    assert counter.keys == ["a"]
    assert len(set(answers)) == 1


async def test_keys_are_looked_up_apart() -> None:
    counter = Counter()
    look = SharedLook(counter)
    (_, a), (_, b) = await asyncio.gather(look.get("a", max_age_s=60), look.get("b", max_age_s=60))
    assert (a[0], b[0]) == ("a", "b")


async def test_what_is_too_old_is_looked_up_again_and_forgotten() -> None:
    counter = Counter()
    look = SharedLook(counter)
    first_at, _ = await look.get("a", max_age_s=0.02)
    await asyncio.sleep(0.05)
    assert not look._of_loop[asyncio.get_running_loop()]
    second_at, _ = await look.get("a", max_age_s=0.02)
    assert counter.keys == ["a", "a"]
    assert second_at > first_at


async def test_one_who_leaves_does_not_cancel_the_look_of_the_others() -> None:
    counter = Counter()
    look = SharedLook(counter)
    leaving = asyncio.create_task(look.get("a", max_age_s=60))
    staying = asyncio.create_task(look.get("a", max_age_s=60))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying)[1] == "a 1"


async def test_an_error_reaches_all_who_asked() -> None:
    counter = Counter()
    counter.error = ConnectionError("no database")
    look = SharedLook(counter)
    for answer in await asyncio.gather(
        *(look.get("a", max_age_s=60) for _ in range(3)), return_exceptions=True
    ):
        assert isinstance(answer, ConnectionError)
    assert counter.keys == ["a"]


async def test_every_event_loop_looks_for_itself() -> None:
    counter = Counter()
    look = SharedLook(counter)
    await look.get("a", max_age_s=60)
    await asyncio.to_thread(lambda: asyncio.run(look.get("a", max_age_s=60)))
    assert counter.keys == ["a", "a"]


@pytest.mark.parametrize("max_age_s", [0.0, -1.0])
async def test_without_an_age_each_call_looks(max_age_s: float) -> None:
    counter = Counter()
    look = SharedLook(counter)
    await look.get("a", max_age_s=max_age_s)
    await look.get("a", max_age_s=max_age_s)
    assert len(counter.keys) == 2
