"""Risk in a process, on Valkey and PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.pms_risk.rig import Rig, empty

from pms_common.names import Names


@pytest.fixture
async def rig(names: Names, redis_url: str, database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """A ready risk service with empty books, on a market of 60,000.0 to 60,000.1."""
    await empty(database)
    made = Rig(names, redis_url, database, tmp_path / "risk.log")
    try:
        await made.open()
        yield made
    finally:
        await made.close()
