"""PostgreSQL for every service: connections, the writer's epoch, the group-committed journal, bus cursors.

Owns how the database is reached and how a journal is written. Never owns a table of a service.

- `engine`: `create_engine` (SQLAlchemy, for all that is not hot) and `connect` (asyncpg); UTC; TLS as the URL says
- `epochs`: `take_epoch`, the fence between a writer and its successor
- `group_commit`: `GroupCommit`, the journal off the hot path
- `shared_tables`: what is common to the tables shared with the JS application
- `cursors`: `PgCursorStore`, what lets a lost consumer group go on where it was
- `retention`: `Retention`, the pace at which what is old is removed
- `sizes`: `TableSizes`, how large the tables are
"""

from pms_common.db.cursors import PgCursorStore
from pms_common.db.engine import DATABASE_ERRORS, connect, create_engine
from pms_common.db.epochs import FencedError, take_epoch
from pms_common.db.group_commit import GroupCommit, JournalStoppedError, Statement
from pms_common.db.retention import DAY_MS, Retention
from pms_common.db.sizes import TableSizes

__all__ = [
    "DATABASE_ERRORS",
    "DAY_MS",
    "FencedError",
    "GroupCommit",
    "JournalStoppedError",
    "PgCursorStore",
    "Retention",
    "Statement",
    "TableSizes",
    "connect",
    "create_engine",
    "take_epoch",
]
