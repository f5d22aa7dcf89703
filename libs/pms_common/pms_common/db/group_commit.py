"""The journal writer off the hot path: rows gathered while a transaction runs are committed together in the next.

Owns the order (rows, and callbacks after their commit), the fence (each transaction checks the writer's epoch) and the
retry. Never drops or refuses a row, never commits one twice: the batch number in `pms_meta.epochs` tells whether a
commit whose answer was lost took place. Used by the services that journal (orders, risk, algos, gateway).
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec

from pms_common import metrics
from pms_common.db.engine import connect
from pms_common.db.epochs import FencedError, journal_name
from pms_common.logging import get_logger

log = get_logger(__name__)

GATHER_S = 0.01
"""Nobody waits for the journal, so a batch gathers this long: at most 100 transactions a second, at any load."""
BATCH_ROWS = 5_000
MAX_ROWS = 200_000
"""From how many on it is full: what can wait elsewhere is not to be taken on. A row takes about 1 kB."""
BACKOFF_S = (0.05, 2.0)

_TRANSIENT = (
    OSError,  # includes TimeoutError and refused connections
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby just before its promotion
    asyncpg.IdleInTransactionSessionTimeoutError,  # this process was stopped amid a transaction
    asyncpg.InternalClientError,  # what asyncpg makes of a connection that was closed while idle
)
_encoder = msgspec.json.Encoder()
_MARK = "UPDATE pms_meta.epochs SET batch = $3 WHERE service = $1 AND epoch = $2 AND batch < $3"
_GIVE_UP_LOCKS = "SET idle_in_transaction_session_timeout = '1s'"
"""A writer that was stopped amid a transaction holds the lock on its epoch, which a successor has to raise."""
_WAIT_BRIEFLY = "SET LOCAL lock_timeout = '1s'"
"""Of another's transaction that holds a row of a shared table: the books must not wait for it."""
_WAIT_NO_LONGER = "SET LOCAL lock_timeout = '20ms'"
"""Once that was in vain."""
MAX_TRIES = 100
"""For rows that a table does not take: enough to find 4 such among 5,000; 3 s at most where all of them are locked."""
_OF_ONE_ROW = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.LockNotAvailableError,
    asyncpg.PLPGSQLError,  # what a trigger raises
)
"""What a row may be the cause of, so that the others can be taken without it."""
_EPOCH = "SELECT epoch FROM pms_meta.epochs WHERE service = $1"

_lag = metrics.gauge("journal_lag_seconds", "Age of the oldest row that is not committed")
_depth = metrics.gauge("journal_depth_rows", "Rows that are not committed")
_rows = metrics.counter("journal_rows", "Rows committed")
_retries = metrics.counter("journal_retries", "Commits tried again after a database error")
_left_out = metrics.counter("journal_rows_left_out", "Rows that a table of the JS application did not take")
_commit_seconds = metrics.histogram("journal_commit_seconds", "Duration of a journal transaction")


Row = Sequence[Any]


class JournalStoppedError(Exception):
    """The writer has ended; what waits is not committed by it."""


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One bulk statement, run at most once a batch with all its rows.

    `sql` reads the rows from `:rows`, e.g. `INSERT INTO t (a, b) SELECT a, b FROM :rows ON CONFLICT DO NOTHING`.
    `columns` maps each column of a row tuple, in order, to its PostgreSQL type. With `latest_by` only the last row of
    those key columns in a batch is written: what `UPDATE … FROM :rows` and `ON CONFLICT DO UPDATE` need.
    `optional` is for a table that others may change at any time: rows that the database refuses, or makes wait for
    another's lock, are left out, loudly, and the others are committed. Optional ones run last.
    `rows_of` names the statement whose rows this one reads as well: a projection of them, at no cost to who adds them.
    `kept` takes what of an optional one is left out, for another try: its `name`, the row as JSON, and the reason.
    """

    sql: str
    columns: Mapping[str, str]
    latest_by: tuple[str, ...] = ()
    optional: bool = False
    rows_of: "Statement | None" = None
    name: str = ""
    kept: "Statement | None" = None
    bulk: str = field(init=False)
    _key: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if ":rows" not in self.sql:
            raise ValueError("the statement does not read from :rows")
        names = list(self.columns)
        values = ", ".join(f"(v ->> {at})::{kind} AS {name}" for at, (name, kind) in enumerate(self.columns.items()))
        source = f"(SELECT {values} FROM jsonb_array_elements($1::jsonb) AS t(v)) AS r"
        object.__setattr__(self, "bulk", self.sql.replace(":rows", source))
        object.__setattr__(self, "_key", tuple(names.index(name) for name in self.latest_by))

    def payload(self, rows: Sequence[Row]) -> str:
        """The rows as one JSON value, Decimals as strings.

        Nothing else runs while a batch is made: 1 µs a row, against 12 as arrays of 20 columns, and no more work for
        the database.
        """
        if self._key:
            latest = {tuple([row[at] for at in self._key]): row for row in rows}
            rows = list(latest.values())
        return _encoder.encode(rows).decode()


_Write = tuple[Statement, list[Row]]


@dataclass(slots=True)
class _Batch:
    number: int
    rows: dict[Statement, list[Row]] = field(default_factory=dict)
    callbacks: list[Callable[[], None]] = field(default_factory=list)
    count: int = 0
    since: float = 0.0


class GroupCommit:
    """The one journal writer of a service. `add` and `then` are synchronous and cost about a microsecond.

    Statements run in the order in which they are registered here (parents before children), rows of one statement in
    the order of `add`. `report(ok, why)` hears whether the database takes the journal. Spawn `run`; it ends only by
    raising: `FencedError` when another writer took over, or the database's error where repeating cannot help.
    """

    def __init__(
        self,
        url: str,
        service: str,
        epoch: int,
        statements: Sequence[Statement],
        report: Callable[[bool, str], None] | None = None,
        max_rows: int = MAX_ROWS,
        gather_s: float = GATHER_S,
    ) -> None:
        self.epoch = epoch
        self._url = url
        self._service = service
        self._statements = tuple(statements)
        self._report = report or (lambda ok, why: None)
        self._max_rows = max_rows
        self._gather_s = gather_s
        self._queue: deque[_Batch] = deque([_Batch(1)])
        self._committing: _Batch | None = None
        self._depth = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._connection: Any = None
        self._running = False
        self._flushing: set[asyncio.Future[None]] = set()
        self.on_room: list[Callable[[], None]] = []
        """Called when it is not full any more."""
        _lag.set_function(lambda: self.lag_seconds)
        _depth.set_function(lambda: self.depth)

    @property
    def depth(self) -> int:
        """Rows added and not committed."""
        return self._depth

    def has_room(self) -> bool:
        """Whether more may be taken on. What has happened is to be added all the same: it cannot wait elsewhere."""
        return self._depth < self._max_rows

    @property
    def lag_seconds(self) -> float:
        """Age of the oldest row or callback that is not committed; 0 when there is none."""
        since = self._queue[0].since
        return time.monotonic() - since if since else 0.0

    def add(self, statement: Statement, row: Row) -> int:
        """Have `row` written by `statement`; the number of its batch.

        While `add` still names that batch, a row that is a list may be changed.
        """
        batch = self._open()
        self._rows_of(batch, statement).append(row)
        batch.count += 1
        self._depth += 1
        return batch.number

    def add_together(self, rows: Sequence[tuple[Statement, tuple[Any, ...]]]) -> None:
        """Have these rows written in one transaction, whatever its size."""
        batch = self._open()
        for statement, row in rows:
            self._rows_of(batch, statement).append(row)
        batch.count += len(rows)
        self._depth += len(rows)

    def _rows_of(self, batch: _Batch, statement: Statement) -> list[Row]:
        written = batch.rows.get(statement)
        if written is None:
            if statement not in self._statements:
                raise ValueError("the statement is not registered with this journal")
            written = batch.rows[statement] = []
        return written

    def then(self, callback: Callable[[], None]) -> None:
        """Call `callback` once all that was added before is committed, after the callbacks before it."""
        self._open().callbacks.append(callback)

    def hurry(self) -> None:
        """Let what was added gather no longer: somebody waits for it."""
        self._hurry.set()

    async def flush(self) -> None:
        """Return when all added so far is committed. Raises `JournalStoppedError` if the writer ends before."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushing.add(done)
        done.add_done_callback(self._flushing.discard)
        self.then(lambda: None if done.done() else done.set_result(None))
        self.hurry()
        await done

    async def close(self) -> None:
        """Commit what waits (where the writer runs) and close the connection."""
        if self._running:
            try:
                await self.flush()
            except JournalStoppedError as error:
                log.error("journal_not_drained", why=str(error))
        await self._disconnect()

    def _open(self) -> _Batch:
        batch = self._queue[-1]
        if batch.count >= BATCH_ROWS or batch is self._committing:
            batch = _Batch(batch.number + 1)
            self._queue.append(batch)
        if not batch.since:
            batch.since = time.monotonic()
            self._wake.set()
        return batch

    async def run(self) -> None:
        """Write batches, one transaction after the other, until cancelled."""
        self._running = True
        try:
            while True:
                await self._wake.wait()
                await self._gather()
                batch = self._committing = self._queue[0]
                if batch.count:
                    await self._commit_at_last(batch)
                self._finish(batch)
        finally:
            self._running = False
            for flushing in self._flushing:
                if not flushing.done():
                    why = f"the journal of {self._service} stopped with {self._depth} rows not committed"
                    flushing.set_exception(JournalStoppedError(why))

    async def _gather(self) -> None:
        if len(self._queue) == 1 and not self._hurry.is_set():
            try:
                async with asyncio.timeout(self._gather_s):
                    await self._hurry.wait()
            except TimeoutError:
                pass

    def _finish(self, batch: _Batch) -> None:
        self._committing = None
        self._queue.popleft()
        if not self._queue:
            self._queue.append(_Batch(batch.number + 1))
        if not self._queue[0].since:
            self._wake.clear()
            self._hurry.clear()
        full = not self.has_room()
        self._depth -= batch.count
        for callback in batch.callbacks:
            callback()
        if full and self.has_room():
            for callback in self.on_room:
                callback()

    async def _commit_at_last(self, batch: _Batch) -> None:
        pause = BACKOFF_S[0]
        failed = False
        while True:
            try:
                with _commit_seconds.time():
                    await self._commit(batch)
            except _TRANSIENT as error:
                why = f"{type(error).__name__}: {error}"
            except asyncpg.DataError:
                raise
            except asyncpg.InterfaceError as error:
                if self._connection is not None and not self._connection.is_closed():
                    raise
                why = str(error)
            else:
                break
            if not failed:
                log.error("journal_commit_failed", why=why, depth=self._depth)
            failed = True
            self._report(False, f"the database does not take the journal: {why}")
            _retries.inc()
            await self._disconnect()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, BACKOFF_S[1])
        _rows.inc(batch.count)
        if failed:
            log.info("journal_commits_again", depth=self._depth)
        self._report(True, "")

    async def _commit(self, batch: _Batch) -> None:
        if self._connection is None:
            self._connection = await connect(self._url, journal_name(self._service))
            await self._connection.execute(_GIVE_UP_LOCKS)
        connection = self._connection
        async with connection.transaction():
            marked = await connection.execute(_MARK, self._service, self.epoch, batch.number)
            if marked != "UPDATE 1":
                await self._check_epoch(connection)
                return
            optional: list[_Write] = []
            for statement in self._statements:
                rows = batch.rows.get(statement.rows_of or statement)
                if not rows:
                    continue
                if statement.optional:
                    optional.append((statement, rows))
                else:
                    await connection.execute(statement.bulk, statement.payload(rows))
            if optional:
                await self._write_optional(connection, optional)

    async def _write_optional(self, connection: Any, writes: list[_Write]) -> None:
        """All of them together; where that fails, each on its own, in halves until the row that is refused is alone."""
        if await self._try(connection, writes, _WAIT_BRIEFLY) is None:
            return
        left = writes[::-1]
        tries = 0
        while left:
            statement, rows = left.pop()
            tries += 1
            error = await self._try(connection, [(statement, rows)], _WAIT_NO_LONGER)
            if error is None:
                continue
            if len(rows) > 1 and tries < MAX_TRIES and isinstance(error, _OF_ONE_ROW):
                half = len(rows) // 2
                left += [(statement, rows[half:]), (statement, rows[:half])]
                continue
            _left_out.inc(len(rows))
            log.error("journal_rows_left_out", rows=len(rows), statement=statement.sql[:200], error=str(error))
            if statement.kept is not None:
                kept = [(statement.name, statement.payload([row]), str(error)) for row in rows]
                await connection.execute(statement.kept.bulk, statement.kept.payload(kept))

    async def _try(self, connection: Any, writes: list[_Write], wait: str) -> asyncpg.PostgresError | None:
        """Write rows of tables whose form is another's business, in a savepoint; what kept the database from it."""
        await connection.execute(f"SAVEPOINT optional; {wait}")
        try:
            for statement, rows in writes:
                await connection.execute(statement.bulk, statement.payload(rows))
        except _TRANSIENT:
            raise
        except asyncpg.PostgresError as error:
            await connection.execute("ROLLBACK TO optional")
            return error
        return None  # the end of the transaction releases it

    async def _check_epoch(self, connection: Any) -> None:
        epoch = await connection.fetchval(_EPOCH, self._service)
        if epoch != self.epoch:
            raise FencedError(f"{self._service}: epoch {self.epoch} was superseded by {epoch}")

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
