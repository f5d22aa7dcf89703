"""Risk in a process, on Valkey and PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.pms_risk.rig import Rig

from pms_common.db import connect
from pms_common.names import Names


@pytest.fixture
async def rig(names: Names, redis_url: str, database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """A ready risk service with empty books, on a market of 60,000.0 to 60,000.1."""
    connection = await connect(database)
    tables = "accounts, rules, administered, positions, liquidations, fills, ledger, house_ledger, gates, cursors"
    own = ", ".join(f"pms_risk.{table}" for table in tables.split(", "))
    await connection.execute(f"TRUNCATE {own}, sub_accounts, risk_rules CASCADE")
    await connection.close()
    made = Rig(names, redis_url, database, tmp_path / "risk.log")
    try:
        await made.open()
        yield made
    finally:
        await made.close()
