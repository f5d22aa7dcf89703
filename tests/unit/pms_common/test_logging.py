"""Logs are one line an event, and never hold a secret."""

import io
import json
import logging
from collections.abc import Iterator
from decimal import Decimal

import pytest

from pms_common import logging as pms_logging
from pms_common.contracts.traceparent import EXAMPLE, ids


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    pms_logging.configure("orders", "INFO", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_json_with_service_time_and_fields(out: io.StringIO) -> None:
    pms_logging.get_logger("x").info("order_sent", symbol="BTCUSDT", quantity=1.5)
    pms_logging.get_logger("x").debug("not_shown")
    line = json.loads(out.getvalue())
    assert (line["event"], line["service"], line["level"], line["symbol"]) == (
        "order_sent",
        "orders",
        "info",
        "BTCUSDT",
    )
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "text",
    [
        "POST /fapi/v1/order?symbol=A&signature=s3cr3t&x=1",
        "wss://host/ws?listenKey=s3cr3t",
        "redis://user:s3cr3t@host:1/0 refused",
        "{'apiKey': 's3cr3t', 'a': 1}",
        "header s3cr3t-registered in the middle",
    ],
)
def test_a_secret_is_masked_wherever_it_turns_up(out: io.StringIO, text: str) -> None:
    pms_logging.hide(["s3cr3t-registered"])
    log = pms_logging.get_logger("x")
    log.info(text)
    log.info("event", detail=text)
    logging.getLogger("some.library").warning("said %s", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        log.exception("failed")
    assert len(out.getvalue().splitlines()) == 4
    assert "s3cr3t" not in out.getvalue()


def test_fields_with_the_name_of_a_secret_are_masked(out: io.StringIO) -> None:
    pms_logging.get_logger("x").info("e", api_key="k1", secret="k2", listenKey="k3", password="k4", token="k5")
    assert json.loads(out.getvalue())["secret"] == "***"
    assert not [key for key in ("k1", "k2", "k3", "k4", "k5") if key in out.getvalue()]


def test_what_json_logs_cannot_hold_loses_no_line(out: io.StringIO) -> None:
    pms_logging.get_logger("x").info("told", number=1 << 70, text="\ud800", amount=Decimal("0.10"), of={1: "one"})
    line = json.loads(out.getvalue())
    assert (line["event"], line["number"], line["amount"], line["of"]) == ("told", 1 << 70, "0.10", {"1": "one"})


def test_a_trace_context_is_told_as_the_two_ids_and_an_empty_one_not_at_all(out: io.StringIO) -> None:
    pms_logging.get_logger("x").info("traced", traceparent=EXAMPLE)
    pms_logging.get_logger("x").info("untraced", traceparent="")
    traced, untraced = map(json.loads, out.getvalue().splitlines())
    assert (traced["trace_id"], traced["span_id"]) == ids(EXAMPLE)
    assert not {"traceparent", "trace_id", "span_id"} & untraced.keys()
    assert "traceparent" not in traced
