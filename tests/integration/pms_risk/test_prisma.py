"""The shared tables through a real Prisma client, as the JS application has it: reads, administration, transactions.

The client is generated from `prisma/schema.prisma` without the engines that Prisma would download; it speaks to the
database through node-postgres. Skipped, with the reason, where Node or the packages are missing.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from tests.integration.pms_risk.rig import Rig
from tests.integration.pms_risk.shared_tables import cash_becomes, held, soon
from tests.node import installed, run

SOURCE = Path(__file__).parent / "prisma"
GENERATE = ("node", "node_modules/prisma/build/index.js", "generate")
# The command line looks for an engine that generating a client does not need.
ENGINE = {"PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true", "DATABASE_URL": "postgresql://unused", "CHECKPOINT_DISABLE": "1"}


@pytest.fixture(scope="session")
def client() -> Path:
    """A folder with the session script and the generated client."""
    return installed(SOURCE, then=[GENERATE], **ENGINE)


async def test_prisma_reads_what_is_written_and_what_it_does_takes_effect(rig: Rig, client: Path) -> None:
    address = make_url(rig.database).set(drivername="postgresql").render_as_string(hide_password=False)

    async def js(step: str, account_id: str = "") -> Any:
        return json.loads(
            await asyncio.to_thread(run, "node", "session.mjs", step, account_id, cwd=client, DATABASE_URL=address)
        )

    account = await js("create")
    account_id = account["id"]
    await cash_becomes(rig, account_id, "5000")
    await soon(rig, "SELECT FROM pms_risk.rules WHERE max_leverage = 20 AND max_total_exposure = 100000000")

    await held(rig, account_id)
    await rig.committed(1)
    seen = await js("read", account_id)
    assert seen["currentBalance"] == 4_999.7
    (position,) = seen["positions"]
    assert (position["side"], position["entryPrice"], position["margin"]) == ("LONG", 60_000, 60)
    assert [trade["action"] for trade in position["trades"]] == ["OPEN"]
    assert sorted(log["reason"] for log in seen["balanceLogs"]) == ["ADMIN_SET", "COMMISSION"]
    assert position["openedAt"] == seen["trades"][0]["timestamp"]

    await js("administer", account_id)
    await cash_becomes(rig, account_id, "6000.25")
    await soon(rig, "SELECT FROM pms_risk.accounts WHERE status = 'FROZEN'")
    assert len(await rig.rows("SELECT FROM balance_logs WHERE reason = 'ADMIN_SET'")) == 2  # one is Prisma's own

    await js("remove", account_id)
    await soon(rig, "SELECT FROM pms_risk.accounts WHERE status = 'CLOSED' AND cash = 0")
    await rig.assert_equal()
