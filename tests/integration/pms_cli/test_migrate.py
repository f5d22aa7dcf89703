"""The schema goes up and down on a real PostgreSQL, and up while the services of the version before trade."""

import asyncio
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from pms_cli import migrate
from pms_cli.embedded import start_postgres
from pms_cli.embedded.postgres import UNSAFE_FAST
from pms_common.clock import now_ms
from pms_common.db import GroupCommit, connect, create_engine, take_epoch
from pms_orders.adapters.journal import ANSWERED

TABLES = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname LIKE 'pms_%'"
SCHEMAS = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pms_%'"
RELEASED = "0017"
"""The schema of the version before."""
CONTRACTS: dict[str, frozenset[str]] = {}
"""By revision the columns and tables that it removes: those that the version before does not use any more."""
COLUMNS = """
    SELECT table_schema || '.' || table_name AS of, column_name AS name, data_type AS type,
      is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' AS needed
    FROM information_schema.columns WHERE table_schema LIKE 'pms_%' OR table_schema = 'public'
"""
UNIQUE = """
    SELECT indrelid::regclass::text AS of, array_agg(attname::text ORDER BY attname) AS columns
    FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
    WHERE indisunique AND indrelid::regclass::text LIKE 'pms_%' GROUP BY indexrelid, indrelid
"""

VACUUMED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'autovacuum worker' AND query LIKE '%pms_orders.answers%'
"""


async def _rows(url: str, sql: str) -> list[Any]:
    connection = await connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def _value(url: str, sql: str) -> int:
    return int((await _rows(url, sql))[0][0])


@pytest.fixture
async def empty(database_url: str) -> Any:
    """A database nothing has been migrated in."""
    name = f"t{uuid.uuid4().hex[:12]}"
    connection = await connect(database_url)
    await connection.execute(f"CREATE DATABASE {name}")
    yield make_url(database_url).set(database=name).render_as_string(hide_password=False)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def test_upgrade_downgrade_and_upgrade_again_end_at_the_same_schema(database: str) -> None:
    assert await migrate.current(database) == migrate.newest()
    tables = await _value(database, TABLES)
    assert await _value(database, SCHEMAS) == 5
    await asyncio.to_thread(migrate.downgrade, database)
    assert await migrate.current(database) == set()
    assert await _value(database, SCHEMAS) == 1  # pms_meta keeps the version table
    await asyncio.to_thread(migrate.upgrade, database)
    assert await migrate.current(database) == migrate.newest()
    assert await _value(database, TABLES) == tables


async def test_an_epoch_rises_by_one_for_each_writer_of_a_service(database: str) -> None:
    engine = create_engine(database)
    try:
        assert [await take_epoch(engine, "risk") for _ in range(3)] == [1, 2, 3]
        assert await take_epoch(engine, "orders") == 1
    finally:
        await engine.dispose()


async def test_two_that_migrate_at_once_do_so_one_after_the_other(empty: str) -> None:
    command, env = (sys.executable, "-m", "pms_cli", "migrate"), {**os.environ, "PMS_DATABASE_URL": empty}
    processes = [await asyncio.create_subprocess_exec(*command, env=env) for _ in range(2)]
    assert [await process.wait() for process in processes] == [0, 0]
    assert await migrate.current(empty) == migrate.newest()


class Writer:
    """A journal of the version before that is never idle: answers of the exchange, each as large as it gets."""

    def __init__(self, url: str, epoch: int) -> None:
        self.commits = GroupCommit(url, "orders", epoch, [ANSWERED])
        self.epoch = epoch
        self.rows = 0
        self.longest_s = 0.0

    async def run(self) -> None:
        """Write until cancelled, and take the time that each row has to wait."""
        while True:
            self.rows += 1
            row = (self.epoch, self.rows, "PMS_x", "place", 1, 7, "accepted", None, None, None, now_ms())
            self.commits.add(ANSWERED, row)
            began = time.monotonic()
            await self.commits.flush()
            self.longest_s = max(self.longest_s, time.monotonic() - began)


async def test_a_journal_goes_on_writing_while_the_schema_becomes_the_newest(empty: str) -> None:
    """Also where somebody's transaction holds the table: the migration gives up its place and comes again."""
    await asyncio.to_thread(migrate.upgrade, empty, RELEASED)
    engine = create_engine(empty, "orders")
    writer = Writer(empty, await take_epoch(engine, "orders"))
    tasks = [asyncio.create_task(writer.commits.run()), asyncio.create_task(writer.run())]
    reader = await connect(empty)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT count(*) FROM pms_orders.answers")  # as pg_dump holds it
            migrating = asyncio.create_task(asyncio.to_thread(migrate.upgrade, empty))
            await asyncio.sleep(3)
            assert not migrating.done()
            held = writer.rows
        await migrating
        assert await migrate.current(empty) == migrate.newest()
        after = writer.rows
        while writer.rows < after + 20:  # noqa: ASYNC110 (it goes on on the new schema)
            await asyncio.sleep(0.01)
        await writer.commits.flush()
        assert held > 20, "it wrote while the migration waited"
        assert writer.longest_s < 4.5, "a journal that is 5 s behind stops new risk"
        numbers = await _rows(empty, "SELECT n, tableoid::regclass::text FROM pms_orders.answers ORDER BY n")
        assert [n for n, _ in numbers] == list(range(1, len(numbers) + 1)) and len(numbers) >= after + 20
        assert {table for _, table in numbers} == {"pms_orders.answers_first"}, "nothing was copied"
    finally:
        await reader.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await writer.commits.close()
        await engine.dispose()


async def test_of_a_division_into_months_that_fails_no_check_is_left_that_stops_the_journal_later(empty: str) -> None:
    await asyncio.to_thread(migrate.upgrade, empty, RELEASED)
    connection = await connect(empty)
    try:
        await connection.execute(
            "INSERT INTO pms_orders.answers (epoch, n, client_order_id, operation, sent_ms, outcome, journalled_ms)"
            " VALUES (1, 1, 'PMS_x', 'place', 1, 'accepted', 4102444800000)"  # a clock that said 2100
        )
        with pytest.raises(IntegrityError, match="before_months"):
            await asyncio.to_thread(migrate.upgrade, empty)
        assert await migrate.current(empty) == {RELEASED}
        assert await connection.fetch("SELECT FROM pg_constraint WHERE conname = 'before_months'") == []
    finally:
        await connection.close()


async def test_an_autovacuum_that_takes_for_ever_holds_up_no_migration(tmp_path: Path) -> None:
    server = start_postgres(tmp_path, options={**UNSAFE_FAST, "autovacuum_naptime": "1s"})
    try:
        await asyncio.to_thread(migrate.upgrade, server.url, RELEASED)
        connection = await connect(server.url)
        await connection.execute(
            "ALTER TABLE pms_orders.answers SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,"
            " autovacuum_vacuum_insert_threshold = 1, autovacuum_vacuum_insert_scale_factor = 0);"
            "INSERT INTO pms_orders.answers (epoch, n, client_order_id, operation, sent_ms, outcome, journalled_ms)"
            " SELECT 1, n, 'PMS_x', 'place', 1, 'accepted', 1 FROM generate_series(1, 50000) AS n"
        )
        async with asyncio.timeout(60):
            while not await connection.fetchval(VACUUMED):  # noqa: ASYNC110 (PostgreSQL decides when)
                await asyncio.sleep(0.1)
            await asyncio.to_thread(migrate.upgrade, server.url)
        assert await connection.fetchval("SELECT count(*) FROM pms_orders.answers_first") == 50_000
        await connection.close()
    finally:
        server.stop()


async def test_the_version_before_finds_all_it_uses_in_the_newest_schema(empty: str) -> None:
    """Expand, then contract: nothing it reads is gone, nothing it does not write is needed, and nothing that it may
    write twice is unique now. What is to go is named in `CONTRACTS` once a released version does without it."""
    await asyncio.to_thread(migrate.upgrade, empty, RELEASED)
    before, unique = await _rows(empty, COLUMNS), await _rows(empty, UNIQUE)
    await asyncio.to_thread(migrate.upgrade, empty)
    after, unique_after = await _rows(empty, COLUMNS), await _rows(empty, UNIQUE)
    types = {(of, name): kind for of, name, kind, _ in after}
    gone = {f"{of}.{name}" for of, name, kind, _ in before if types.get((of, name)) != kind}
    assert gone <= set().union(*CONTRACTS.values())
    tables = {of for of, *_ in before}
    needed = {f"{of}.{name}" for of, name, _, needed in after if needed and of in tables}
    assert needed <= {f"{of}.{name}" for of, name, _, needed in before if needed}
    known = {(of, tuple(columns)) for of, columns in unique}
    assert {(of, tuple(columns)) for of, columns in unique_after if of in tables} <= known
