"""Wake-ups within a process, and through a layer that others share."""

import asyncio

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer
from typing_extensions import override

from sessions.events import bus

TOPIC = "session.42"


class SharedLayer(InMemoryChannelLayer):
    """Stands for a layer that reaches other processes."""


@pytest.fixture
def shared_layer(settings) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.SharedLayer"}}
    assert isinstance(get_channel_layer(), SharedLayer)


@pytest.fixture(autouse=True)
def _layers_of_this_test():
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


async def wake_ups(waiter: bus.Waiter) -> int:
    """How many came, each after the time that wake-ups are joined for."""
    count = 0
    while await waiter.wait(5 * bus.COALESCE_S):
        count += 1
    return count


async def test_every_listener_of_a_topic_is_woken_and_no_other():
    async with (
        bus.listen(TOPIC) as one,
        bus.listen("else", TOPIC) as two,
        bus.listen("else") as other,
    ):
        await bus.notify(TOPIC)
        woken = tuple(await asyncio.gather(wake_ups(one), wake_ups(two), wake_ups(other)))
    assert woken == (1, 1, 0)


async def test_wake_ups_of_a_moment_are_joined_and_the_last_is_not_lost():
    async with bus.listen(TOPIC) as waiter:
        for _ in range(100):
            await bus.notify(TOPIC)
        assert await wake_ups(waiter) == 2


async def test_who_has_left_is_forgotten():
    async with bus.listen(TOPIC):
        assert bus._topics().waiters
    assert not bus._topics().waiters
    await bus.notify(TOPIC)


async def test_a_shared_layer_does_not_wake_its_own_process_twice(shared_layer):
    async with bus.listen(TOPIC) as waiter:
        await bus.notify(TOPIC)
        assert await wake_ups(waiter) == 1


async def test_a_shared_layer_brings_the_wake_ups_of_others(shared_layer):
    async with bus.listen(TOPIC) as waiter:
        layer = get_channel_layer()
        assert layer is not None
        await layer.group_send(TOPIC, {"type": "wake", "from": "another process"})
        assert await wake_ups(waiter) == 1


async def test_others_are_told_through_a_shared_layer(shared_layer):
    layer = get_channel_layer()
    assert layer is not None
    channel = await layer.new_channel()
    await layer.group_add(TOPIC, channel)
    await bus.notify(TOPIC)
    async with asyncio.timeout(20):
        assert (await layer.receive(channel))["type"] == "wake"


class BrokenLayer(SharedLayer):
    """What stands behind it is away, until it is mended."""

    is_broken = True

    @override
    async def group_send(self, group, message):
        self._check()
        await super().group_send(group, message)

    @override
    async def group_add(self, group, channel):
        self._check()
        await super().group_add(group, channel)

    @override
    async def receive(self, channel):
        self._check()
        return await super().receive(channel)

    def _check(self):
        if self.is_broken:
            raise ConnectionError("the layer is away")


async def test_a_layer_that_is_away_costs_others_alone_and_comes_back(settings, monkeypatch):
    monkeypatch.setattr(bus, "RETRY_S", 0.02)
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.BrokenLayer"}}
    layer = get_channel_layer()
    assert isinstance(layer, BrokenLayer)
    async with bus.listen(TOPIC) as waiter:
        await bus.notify(TOPIC)
        assert await wake_ups(waiter) == 1
        layer.is_broken = False
        await asyncio.sleep(0.1)
        await layer.group_send(TOPIC, {"type": "wake", "from": "another process"})
        assert await wake_ups(waiter) == 1
