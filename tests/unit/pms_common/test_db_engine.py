"""How a database URL becomes asyncpg's arguments."""

from decimal import Decimal

import pytest

from pms_common.db import Statement
from pms_common.db.engine import connect_arguments
from pms_common.settings import SettingsError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_server_on_this_machine_gets_no_tls(host: str) -> None:
    arguments = connect_arguments(f"postgresql+asyncpg://u@{host}:5432/pms", "risk")
    assert arguments["ssl"] is False
    assert arguments["server_settings"] == {"timezone": "UTC", "application_name": "pms-risk"}


def test_the_url_decides_about_tls() -> None:
    url = "postgresql+asyncpg://u:p%40ss@db.example/pms?sslmode=require"
    arguments = connect_arguments(url, "risk")
    assert arguments["ssl"] == "require"
    assert arguments["dsn"] == "postgresql://u:p%40ss@db.example/pms"
    assert connect_arguments(url.replace("sslmode", "ssl"), "risk")["ssl"] == "require"
    assert "ssl" not in connect_arguments("postgresql+asyncpg://u@db.example/pms", "risk")


def test_a_missing_url_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="PMS_DATABASE_URL is not set"):
        connect_arguments("", "risk")


def test_a_statement_becomes_a_bulk_one() -> None:
    statement = Statement("INSERT INTO t (a, b) SELECT a, b FROM :rows", {"a": "text", "b": "numeric"})
    rows = "SELECT (v ->> 0)::text AS a, (v ->> 1)::numeric AS b FROM jsonb_array_elements($1::jsonb) AS t(v)"
    assert statement.bulk == f"INSERT INTO t (a, b) SELECT a, b FROM ({rows}) AS r"
    assert statement.payload([("x", Decimal("1.50")), ("y", None)]) == '[["x","1.50"],["y",null]]'


def test_the_last_row_of_a_key_wins_where_asked_for() -> None:
    statement = Statement("UPDATE t SET b = r.b FROM :rows WHERE t.a = r.a", {"a": "text", "b": "int"}, ("a",))
    assert statement.payload([("x", 1), ("y", 2), ("x", 3)]) == '[["x",3],["y",2]]'


def test_a_statement_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=":rows"):
        Statement("INSERT INTO t VALUES (1)", {})
