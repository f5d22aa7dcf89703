"""The feed against the running simulator and a real Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.pms_feed.rig import Rig
from tests.integration.pms_feed.rig import rig as made_rig

from pms_common.names import Names


@pytest.fixture
async def rig(names: Names, redis_url: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """BTCUSDT at 64,000.0 to 64,000.1, ETHUSDT at 3,000.00 to 3,000.01; the feed is not started yet."""
    async with made_rig(names, redis_url, tmp_path / "feed.log") as made:
        await made.market(64_000.0, 64_000.1)
        await made.market(3_000.0, 3_000.01, "ETHUSDT")
        yield made
