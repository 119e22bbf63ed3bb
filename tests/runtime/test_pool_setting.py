"""What BERTH_POOL says."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from sessions.runtime.pool import PoolSize
from sessions.runtime.wiring import pool_sizes


@pytest.mark.parametrize(
    ("entries", "sizes"),
    [
        (["berth/sandbox=2"], {"berth/sandbox": PoolSize(2)}),
        (
            ["berth/sandbox=2", "registry:5000/team/data:3=1@60"],
            {"berth/sandbox": PoolSize(2), "registry:5000/team/data:3": PoolSize(1, 60.0)},
        ),
        (["data@sha256:0a=4"], {"data@sha256:0a": PoolSize(4)}),
        (["berth/sandbox=0"], {}),
        (["off"], {}),
    ],
)
def test_images_with_their_sizes(settings, entries, sizes) -> None:
    settings.BERTH_POOL = entries
    assert pool_sizes() == sizes


@pytest.mark.parametrize("entry", ["2", "=2", "image=", "image=two", "image=2@soon", "image=-1"])
def test_nonsense_is_refused(settings, entry) -> None:
    settings.BERTH_POOL = [entry]
    with pytest.raises(ImproperlyConfigured, match="BERTH_POOL"):
        pool_sizes()
