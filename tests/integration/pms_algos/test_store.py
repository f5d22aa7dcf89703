"""The table of algos on a real PostgreSQL: a late save neither takes back a newer one nor revives what is over."""

import asyncio

from tests.unit.pms_algos.build import plan

from pms_algos.adapters import store
from pms_algos.app.kinds import KINDS
from pms_algos.domain.chase_state import Chase, Child
from pms_common.clock import now_ms
from pms_common.db import DAY_MS, GroupCommit, Retention, create_engine, take_epoch

CHASE = KINDS["chase"]


def state(algo_id: str, version: int, outcome: str | None = None) -> Chase:
    made = plan(algo_id=algo_id)
    return Chase(plan=made, child=Child(quantity=made.quantity), version=version, outcome=outcome)  # type: ignore[arg-type]


async def test_a_late_save_takes_nothing_back_and_what_is_over_stays_so(database: str) -> None:
    engine = create_engine(database)
    journal = GroupCommit(database, "algos", await take_epoch(engine, "algos"), [store.SAVE])
    writing = asyncio.create_task(journal.run())
    try:
        for saved, over in (
            (state("a", 2), False),
            (state("a", 1), False),
            (state("b", 3, "cancelled"), True),
            (state("b", 9), False),
            (state("c", 2, "filled"), False),
        ):
            journal.add(store.SAVE, store.row(CHASE, saved, ("BTCUSDT",), over=over))
            await journal.flush()
        loaded = await store.load(engine)
        young = Retention(engine, 90, lambda: now_ms() + 89 * DAY_MS, store.remove_ended)
        assert await young.sweep() == 0
        old = Retention(engine, 90, lambda: now_ms() + 91 * DAY_MS, store.remove_ended)
        assert await old.sweep(batch=1, pause_s=0) == 1
        kept = await store.load(engine)
    finally:
        await journal.close()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await engine.dispose()
    running = {algo.plan.algo_id: (algo.version, algo.outcome) for _, algo in loaded.running}
    assert running == {"a": (2, None), "c": (2, "filled")}, "the end of c is still to be told"
    assert [(algo.plan.algo_id, algo.outcome) for _, algo in loaded.ended] == [("b", "cancelled")]
    assert loaded.unreadable == set()
    assert (kept.running, kept.ended) == (loaded.running, []), "what is old and over has gone, and nothing else"
