"""The journal writer on a real PostgreSQL: order, fence, restarts of the database in the middle."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pms_cli import migrate
from pms_cli.embedded import start_postgres
from pms_common.db import (
    FencedError,
    GroupCommit,
    JournalStoppedError,
    PgCursorStore,
    Statement,
    connect,
    create_engine,
    take_epoch,
)
from pms_common.db.group_commit import MAX_TRIES

FILLS = Statement("INSERT INTO j.fills (n, note) SELECT n, note FROM :rows", {"n": "bigint", "note": "text"})
STATES = Statement(
    "INSERT INTO j.states AS s (id, state) SELECT id, state FROM :rows"
    " ON CONFLICT (id) DO UPDATE SET state = excluded.state",
    {"id": "text", "state": "text"},
    latest_by=("id",),
)
TABLES = (
    "CREATE SCHEMA IF NOT EXISTS j;"
    "CREATE TABLE IF NOT EXISTS j.fills (at serial, n bigint PRIMARY KEY, note text);"
    "CREATE TABLE IF NOT EXISTS j.states (id text PRIMARY KEY, state text);"
    "TRUNCATE j.fills, j.states"
)


async def _epoch(url: str) -> int:
    connection = await connect(url)
    await connection.execute(TABLES)
    await connection.close()
    engine = create_engine(url)
    try:
        return await take_epoch(engine, "orders")
    finally:
        await engine.dispose()


async def _rows(url: str, sql: str) -> list[Any]:
    connection = await connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


@asynccontextmanager
async def _running(url: str, **options: Any) -> AsyncIterator[tuple[GroupCommit, asyncio.Task[None]]]:
    journal = GroupCommit(url, "orders", await _epoch(url), [FILLS, STATES], **options)
    task = asyncio.create_task(journal.run())
    yield journal, task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await journal.close()


def _noting(seen: list[int], n: int) -> Callable[[], None]:
    return lambda: seen.append(n)


async def test_rows_and_callbacks_keep_their_order(database: str) -> None:
    seen: list[int] = []
    async with _running(database) as (journal, _):
        for n in range(3_000):
            journal.add(FILLS, (n, "x"))
            journal.add(STATES, (f"order-{n % 7}", f"state-{n}"))
            journal.then(_noting(seen, n))
            if n % 100 == 0:
                await asyncio.sleep(0.001)
        await journal.flush()
        assert (journal.depth, journal.lag_seconds) == (0, 0.0)
    assert seen == list(range(3_000))
    assert await _rows(database, "SELECT n FROM j.fills ORDER BY at") == [(n,) for n in range(3_000)]
    assert await _rows(database, "SELECT max(state) FROM j.states WHERE id = 'order-3'") == [("state-2999",)]


async def test_what_is_added_while_a_transaction_runs_is_committed_in_one(database: str) -> None:
    async with _running(database) as (journal, _):
        for n in range(1_000):
            journal.add(FILLS, (n, None))
        await journal.flush()
    assert await _rows(database, "SELECT batch FROM pms_meta.epochs WHERE service = 'orders'") == [(1,)]


async def test_who_waits_is_not_kept_waiting_by_what_gathers(database: str) -> None:
    async with _running(database, gather_s=600.0) as (journal, _):
        journal.add(FILLS, (1, None))
        committed = asyncio.Event()
        journal.then(committed.set)
        await asyncio.sleep(0.2)
        assert not committed.is_set()
        journal.hurry()
        await asyncio.wait_for(committed.wait(), 60)


async def test_a_callback_alone_is_called_without_a_transaction(database: str) -> None:
    async with _running(database) as (journal, _):
        await journal.flush()
    assert await _rows(database, "SELECT batch FROM pms_meta.epochs WHERE service = 'orders'") == [(0,)]


async def test_a_writer_whose_epoch_was_superseded_writes_nothing_more_and_stops(database: str) -> None:
    seen: list[int] = []
    async with _running(database) as (journal, task):
        journal.add(FILLS, (1, "before"))
        await journal.flush()
        engine = create_engine(database)
        await take_epoch(engine, "orders")
        await engine.dispose()
        journal.add(FILLS, (2, "after"))
        journal.then(_noting(seen, 2))
        with pytest.raises(FencedError, match="orders: epoch"):
            await task
    assert seen == []
    assert await _rows(database, "SELECT n FROM j.fills") == [(1,)]


async def test_a_commit_whose_answer_was_lost_is_not_repeated(database: str) -> None:
    async with _running(database) as (journal, _):
        journal.add(FILLS, (1, "x"))
        await journal.flush()
        # as if the answer to the next commit had been lost: its mark is in the database already
        connection = await connect(database)
        await connection.execute("INSERT INTO j.fills (n, note) VALUES (2, 'x')")
        await connection.execute("UPDATE pms_meta.epochs SET batch = batch + 2 WHERE service = 'orders'")
        await connection.close()
        journal.add(FILLS, (2, "x"))
        await journal.flush()
    assert await _rows(database, "SELECT count(*) FROM j.fills") == [(2,)]


async def test_an_error_that_repeating_cannot_cure_ends_the_writer(database: str) -> None:
    async with _running(database) as (journal, task):
        journal.add(FILLS, (1, "x"))
        journal.add(FILLS, (1, "the same key again"))
        with pytest.raises(asyncpg.UniqueViolationError):
            await task


async def test_who_waits_for_a_writer_that_ends_is_told(database: str) -> None:
    async with _running(database) as (journal, task):
        journal.add(FILLS, (1, "x"))
        waiting = asyncio.create_task(journal.flush())
        await asyncio.sleep(0)
        task.cancel()
        await journal.close()
        with pytest.raises(JournalStoppedError, match="stopped with 1 rows not committed"):
            await waiting


async def test_a_full_journal_takes_what_has_happened_and_tells_when_it_has_room_again(database: str) -> None:
    async with _running(database, max_rows=3) as (journal, _):
        told: list[bool] = []
        journal.on_room.append(lambda: told.append(journal.has_room()))
        assert journal.has_room()
        for n in range(5):
            journal.add(FILLS, (n, None))
        assert not journal.has_room() and journal.depth == 5
        await journal.flush()
        assert journal.has_room() and told == [True]
        journal.add(FILLS, (5, None))
        await journal.flush()
        assert told == [True], "it was not full"


async def test_an_unregistered_statement_is_refused(database: str) -> None:
    journal = GroupCommit(database, "orders", 1, [FILLS])
    with pytest.raises(ValueError, match="not registered"):
        journal.add(STATES, ("a", "b"))


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_database_restart_in_the_middle_loses_and_repeats_nothing(tmp_path: Path, how: str) -> None:
    server = start_postgres(tmp_path / "postgres")
    await asyncio.to_thread(migrate.upgrade, server.url)
    seen: list[int] = []
    reports: list[bool] = []
    async with _running(server.url, report=lambda ok, why: reports.append(ok)) as (journal, task):
        for n in range(4_000):
            journal.add(FILLS, (n, "x"))
            journal.then(_noting(seen, n))
            if n == 1_500:
                if how == "kill":
                    server.process.kill()
                    server.process.wait()
                else:
                    server.stop()
            if n % 100 == 0:
                await asyncio.sleep(0.003)
        await asyncio.sleep(0.2)
        assert journal.depth > 0
        assert journal.lag_seconds > 0.1
        assert not task.done()
        server = start_postgres(tmp_path / "postgres", server.port)
        async with asyncio.timeout(15):
            await journal.flush()
    assert seen == list(range(4_000))
    assert False in reports
    assert reports[-1] is True
    assert await _rows(server.url, "SELECT n FROM j.fills ORDER BY at") == [(n,) for n in range(4_000)]
    server.stop()


async def test_bus_cursors_are_kept_by_group_and_stream(database: str) -> None:
    engine = create_engine(database)
    try:
        store = PgCursorStore(engine, "orders")
        assert await store.load("orders") == {}
        await store.save("orders", {"a": "1-0", "b": "2-0"})
        await store.save("orders", {"a": "3-0"})
        await store.save("risk", {"a": "9-0"})
        assert await PgCursorStore(engine, "orders").load("orders") == {"a": "3-0", "b": "2-0"}
    finally:
        await engine.dispose()


NOTES = Statement("INSERT INTO j.notes SELECT note FROM :rows", FILLS.columns, optional=True, rows_of=FILLS)
COUNTS = Statement(
    "UPDATE j.count SET n = n + (SELECT count(*) FROM :rows)", FILLS.columns, optional=True, rows_of=FILLS
)

MARKS = Statement(
    "UPDATE j.notes AS t SET note = t.note || '+' FROM :rows WHERE t.note = r.note",
    FILLS.columns,
    optional=True,
    rows_of=FILLS,
)


@asynccontextmanager
async def _projecting(url: str, *projections: Statement) -> AsyncIterator[GroupCommit]:
    connection = await connect(url)
    epoch = await _epoch(url)
    await connection.execute(
        "DROP TABLE IF EXISTS j.notes, j.count; CREATE TABLE j.notes (note text CHECK (note <> 'bad'));"
        "CREATE TABLE j.count (n bigint); INSERT INTO j.count VALUES (0)"
    )
    await connection.close()
    journal = GroupCommit(url, "orders", epoch, [*(projections or (NOTES, COUNTS)), FILLS])
    task = asyncio.create_task(journal.run())
    yield journal
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await journal.close()


async def test_a_projection_reads_the_rows_of_its_statement(database: str) -> None:
    async with _projecting(database) as journal:
        journal.add_together([(FILLS, (1, "one")), (FILLS, (2, "two"))])
        await journal.flush()
    assert await _rows(database, "SELECT note FROM j.notes ORDER BY note") == [("one",), ("two",)]
    assert await _rows(database, "SELECT n FROM j.count") == [(2,)]


async def test_a_projection_that_fails_leaves_out_neither_its_source_nor_another(database: str) -> None:
    async with _projecting(database) as journal:
        journal.add(FILLS, (1, "bad"))
        await journal.flush()
    assert await _rows(database, "SELECT n FROM j.fills") == [(1,)]
    assert await _rows(database, "SELECT n FROM j.count") == [(1,)]
    assert await _rows(database, "SELECT note FROM j.notes") == []


async def test_a_row_that_another_holds_for_long_does_not_hold_up_the_journal(database: str) -> None:
    async with _projecting(database) as journal:
        other = await connect(database)
        async with other.transaction():
            await other.execute("UPDATE j.count SET n = 10")
            journal.add(FILLS, (1, "one"))
            await journal.flush()
            assert await _rows(database, "SELECT note FROM j.notes") == [("one",)]
        await other.close()
    assert await _rows(database, "SELECT n FROM j.count") == [(10,)]


async def test_rows_that_are_refused_leave_out_no_others_in_their_order(database: str) -> None:
    async with _projecting(database) as journal:
        notes = ["bad" if n in (0, 700, 1_999) else f"{n:04}" for n in range(2_000)]
        journal.add_together([(FILLS, (n, note)) for n, note in enumerate(notes)])
        await journal.flush()
    assert await _rows(database, "SELECT note FROM j.notes ORDER BY ctid") == [
        (note,) for note in notes if note != "bad"
    ]
    assert await _rows(database, "SELECT n FROM j.count") == [(2_000,)]


async def test_a_row_that_another_holds_leaves_out_no_others(database: str) -> None:
    async with _projecting(database, MARKS) as journal:
        other = await connect(database)
        await other.execute("INSERT INTO j.notes SELECT n::text FROM generate_series(0, 99) AS n")
        async with other.transaction():
            await other.execute("SELECT FROM j.notes WHERE note = '42' FOR UPDATE")
            journal.add_together([(FILLS, (n, str(n))) for n in range(100)])
            await journal.flush()
        await other.close()
    assert await _rows(database, "SELECT note FROM j.notes WHERE note NOT LIKE '%+'") == [("42",)]


async def test_a_table_that_takes_no_row_is_not_asked_for_each(database: str) -> None:
    async with _projecting(database) as journal:
        connection = await connect(database)
        await connection.execute("CREATE SEQUENCE IF NOT EXISTS j.asked; SELECT setval('j.asked', 1)")
        await connection.execute("ALTER TABLE j.notes ADD CHECK (nextval('j.asked') < 0)")
        journal.add_together([(FILLS, (n, "good")) for n in range(2_000)])
        await journal.flush()
        assert await connection.fetchval("SELECT last_value FROM j.asked") < 2 * MAX_TRIES
        await connection.close()
    assert await _rows(database, "SELECT count(*) FROM j.fills") == [(2_000,)]
