"""The reference programs run, in C where there is a compiler and in Python, and leave nothing behind."""

import shutil

import pytest
import redis

from pms_cli.bench import reference


@pytest.fixture(params=["c", "python"])
def kind(request, monkeypatch):
    reference._program.cache_clear()
    if request.param == "python":
        monkeypatch.setattr(shutil, "which", lambda _name: None)
    elif not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler")
    yield request.param
    reference._program.cache_clear()


@pytest.mark.slow
async def test_chain_and_round_trip(kind, redis_url):
    with redis.Redis.from_url(redis_url) as client:
        before = set(client.scan_iter(match="bench:*"))
        paced = await reference.run_chain(2, 200, 0.5, redis_url)
        saturated = await reference.run_chain(1, -200, 0.5, redis_url)
        back = await reference.run_round_trip(0.5, redis_url)
        assert set(client.scan_iter(match="bench:*")) == before
    assert {paced.kind, saturated.kind, back.kind} == {kind}
    assert 20 <= paced.n <= 110
    assert saturated.n > paced.n
    for result in (paced, saturated, back):
        assert 0 < result.p50_us <= result.p95_us <= result.p99_us


async def test_failure_is_told(kind):
    with pytest.raises(reference.ProgramError):
        await reference.run_round_trip(0.1, "/nowhere/redis.sock")
