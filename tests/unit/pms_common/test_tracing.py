"""Traces: ids that are derived, what is recorded, the share of commands without a trace; free where switched off."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from pms_common import metrics, tracing
from pms_common.contracts.traceparent import EXAMPLE, ids, read, sampled
from pms_common.otlp import MAX_WAITING
from pms_common.settings import Settings, SettingsError

NOBODY = "http://127.0.0.1:9"
"""Where no collector listens."""
UNSAMPLED = EXAMPLE[:-2] + "00"


@pytest.fixture(params=[0.0])
def exporting(request: pytest.FixtureRequest) -> Iterator[None]:
    """Spans are exported, to nobody; the parameter is the share of commands that begin a trace."""
    tracing.start("risk", Settings(otlp_endpoint=NOBODY, trace_ratio=request.param))
    yield
    tracing.stop()


def outcome(name: str) -> float:
    return metrics.values("trace_spans_total").get((name,), 0.0)


def test_switched_off_a_context_goes_on_as_it_came() -> None:
    tracing.start("risk", Settings())
    tracing.start("feed", Settings(otlp_endpoint=NOBODY))
    before = outcome("recorded")
    assert tracing.begin(EXAMPLE, "trade", "r1") == tracing.step(EXAMPLE, "x") == EXAMPLE
    assert tracing.begin("", "trade", "r1") == tracing.step("", "x") == ""
    tracing.record("x", EXAMPLE, EXAMPLE, 1)
    assert outcome("recorded") == before


def test_switched_off_a_step_makes_a_line_of_the_log_only_where_it_is_read(caplog: pytest.LogCaptureFixture) -> None:
    with capture_logs() as lines:
        with caplog.at_level(logging.INFO):
            tracing.record("x", EXAMPLE, EXAMPLE, 1, request_id="r1")
        assert lines == []
        with caplog.at_level(logging.DEBUG):
            tracing.record("x", EXAMPLE, EXAMPLE, 1, request_id="r1")
    assert [(line["step"], line["request_id"]) for line in lines] == [("x", "r1")]


def test_switched_off_nothing_that_exports_is_imported() -> None:
    """The SDK's metrics are another matter: redis-py imports them wherever they are installed."""
    code = (
        "import sys; from pms_common import tracing; from pms_common.settings import Settings\n"
        "import pms_algos.main, pms_gateway.main, pms_orders.main, pms_risk.main\n"
        "[tracing.start(service, Settings()) for service in tracing.TRACED]\n"
        "tracing.record('x', tracing.begin('', 'x'), '', 1); tracing.stop()\n"
        "exports = ('pms_common.otlp', 'opentelemetry.sdk.trace', 'opentelemetry.exporter', 'google', 'requests')\n"
        "print([name for name in sys.modules if name.startswith(exports)])"
    )
    ran = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_without_the_exporter_a_service_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pms_common.otlp", None)
    with pytest.raises(SettingsError, match=r"pms-common\[otlp\]"):
        tracing.start("risk", Settings(otlp_endpoint=NOBODY))


@pytest.mark.usefixtures("exporting")
def test_a_step_has_an_id_of_its_own_in_the_same_trace() -> None:
    @given(st.text(), st.text())
    def holds(one: str, other: str) -> None:
        step = tracing.step(EXAMPLE, one)
        assert read(step) == step
        assert ids(step).trace_id == ids(EXAMPLE).trace_id
        assert ids(step).span_id != ids(EXAMPLE).span_id
        assert step == tracing.step(EXAMPLE, one), "who does it again makes the same"
        assert (step == tracing.step(EXAMPLE, other)) == (one == other)

    holds()


@pytest.mark.usefixtures("exporting")
def test_what_its_sender_does_not_record_goes_on_as_it_came() -> None:
    assert tracing.begin(UNSAMPLED, "trade", "r1") == tracing.step(UNSAMPLED, "x") == UNSAMPLED
    before = outcome("recorded")
    tracing.record("x", UNSAMPLED, UNSAMPLED, 1)
    assert outcome("recorded") == before
    assert tracing.begin("", "trade", "r1") == "", "by default no trace begins here"


@pytest.mark.usefixtures("exporting")
@pytest.mark.parametrize("exporting", [0.25], indirect=True)
def test_a_share_of_the_commands_begins_a_trace() -> None:
    begun = [tracing.begin("", "trade", f"r{n}") for n in range(4_000)]
    traced = [context for context in begun if context]
    assert 800 < len(traced) < 1_200
    assert len({ids(context).trace_id for context in traced}) == len(traced)
    assert all(read(context) == context and sampled(context) for context in traced)
    assert begun == [tracing.begin("", "trade", f"r{n}") for n in range(4_000)]
    assert ids(tracing.begin(EXAMPLE, "trade", "r1")).trace_id == ids(EXAMPLE).trace_id


def test_a_collector_that_is_away_costs_spans_and_no_time(caplog: pytest.LogCaptureFixture) -> None:
    recorded, failed = outcome("recorded"), outcome("failed")
    tracing.start("risk", Settings(otlp_endpoint=NOBODY))
    context, slowest = tracing.step(EXAMPLE, "x"), 0.0
    with caplog.at_level(logging.INFO):
        for _ in range(MAX_WAITING + 1_000):
            before = time.thread_time()
            tracing.record("x", context, EXAMPLE, 1, error="why", request_id="r1", account_id=None)
            slowest = max(slowest, time.thread_time() - before)
        tracing.stop()
        for thread in threading.enumerate():
            if thread.name.startswith("OtelBatch"):
                thread.join(30)
                assert not thread.is_alive(), "nothing is tried again after the end"
    assert slowest < 1
    assert outcome("recorded") - recorded == MAX_WAITING + 1_000
    assert outcome("failed") > failed
    assert len([line for line in caplog.records if "spans_not_exported" in line.getMessage()]) <= 1
