"""Whatever a guest floods its host with, the host stays at flat memory."""

import asyncio
import json
import sys

import pytest

from tests.sandbox.hostile_floods import FLOODS

MORE_MB = 16
LISTING_MB = 64
"""100,000 entries are a lawful answer and are held."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_is_not_kept(name):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.sandbox.hostile_floods", name, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(90):
        out, _err = await process.communicate()
    assert process.returncode == 0
    before, peak = json.loads(out)
    assert peak - before < (LISTING_MB if name == "listing" else MORE_MB)
