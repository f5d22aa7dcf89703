"""The table of streams and groups, and the names it is made of."""

from pathlib import Path

import pytest

from pms_common.names import Names
from pms_common.topology import kept_by, topology

ROOT = Path(__file__).parents[3]


def test_every_stream_is_listed_once_and_has_a_reader() -> None:
    streams = topology(Names())
    names = [stream.name for stream in streams]
    assert len(names) == len(set(names))
    assert all(stream.groups for stream in streams)


def test_r26_every_stream_is_trimmed_by_exactly_one_service() -> None:
    names = Names("{acct1}pms", "{feed}pms")
    services = ("risk", "orders", "algos", "feed", "gateway")
    kept = [stream.name for service in services for stream in kept_by(names, service)]
    assert sorted(kept) == sorted(stream.name for stream in topology(names))
    assert names.op("trading_state") in [stream.name for stream in kept_by(names, "risk")]


@pytest.mark.parametrize("service", ["risk", "orders", "algos", "feed"])
def test_r26_every_service_trims_what_it_keeps(service: str) -> None:
    wiring = (ROOT / f"services/{service}/pms_{service}/main.py").read_text(encoding="utf-8")
    assert "kept_by(names, " in wiring and "Trimmer(bus.redis, " in wiring and "LagSampler(bus.redis, " in wiring


def test_every_public_command_has_exactly_its_owner_as_reader() -> None:
    from pms_common.contracts.commands import COMMANDS

    readers = {stream.name: stream.groups for stream in topology(Names())}
    for type_, cls in COMMANDS.items():
        if cls.STREAM == "cmd":
            assert readers[Names().cmd(type_)] == (cls.OWNER,), type_
        else:
            assert cls.OWNER in readers[Names().op(type_)], type_


def test_all_names_of_a_cell_share_its_hash_tag() -> None:
    names = Names("{acct1}pms", "{feed}pms")
    for stream in topology(names):
        assert stream.name.startswith(("{acct1}pms:", "{feed}pms:"))
    assert names.ticks == "{feed}pms:bus:ticks"
    assert names.price("BTCUSDT") == "{feed}pms:price:BTCUSDT"
    assert names.result("r") == "{acct1}pms:result:r"


def test_public_names_are_those_of_the_contract() -> None:
    names = Names()
    assert names.cmd("trade") == "pms:cmd:trade"
    assert names.op("account") == "pms:op:account"
    assert names.event_channel("order_filled") == "pms:events:order_filled"
    assert names.events == "pms:events"
    assert names.dead == "pms:dead"
    assert names.risk("a") == "pms:risk:a"
    assert names.algos("a") == "pms:algos:a"
    assert names.ticks == "pms:bus:ticks"
