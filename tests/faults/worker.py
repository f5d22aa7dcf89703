"""A process that carries out one schedule after the other.

Owns what such a process has: its Redis, its nursery, its loop. Used by the command line.
"""

import asyncio
import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from tests.faults import haste, life, plan
from tests.faults.nursery import Nursery
from tests.faults.stage import Played, Stage
from tests.faults.world import World

from pms_cli.embedded import start_valkey


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker works: its own folder and its own database."""

    folder: Path
    database_url: str
    tells_all: bool = False
    """Whether every schedule is told with all that happened, not only one that failed."""


def work(place: Place, seeds: Iterable[int], speed: float, tell: Callable[[Played], None]) -> None:
    """Carry out the schedules of these seeds. Before it no loop and no thread may exist in this process."""
    valkey = start_valkey(place.folder / "valkey")
    life.prepare()
    gc.freeze()  # a fork copies what the collector touches
    haste.share()
    nursery = Nursery(life.live)
    world = World(valkey.url, valkey.port, place.database_url, make_url(place.database_url).port or 5432)
    try:
        with asyncio.Runner(loop_factory=haste.new_loop) as runner:
            runner.run(_play_all(world, nursery, seeds, speed, place, tell))
    finally:
        valkey.stop()


async def _play_all(
    world: World, nursery: Nursery, seeds: Iterable[int], speed: float, place: Place, tell: Callable[[Played], None]
) -> None:
    nursery.open()
    await world.open()
    for seed in seeds:
        played = await Stage(world, nursery, plan.make(seed), speed, place.folder).play()
        if not (played.violations or played.ends or place.tells_all):
            played.trace.clear()
        tell(played)
    await world.close()
    nursery.close()
