"""The command line: help, refusals, fields, tables."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pms_cli.commands.send import parse_fields
from pms_cli.commands.views import VIEWS, table
from pms_cli.main import app

VERBS = (
    *("up", "run", "migrate", "send", "status", "watch", "accounts", "orders", "positions", "algos"),
    *("halt", "reduce", "resume", "doctor", "replay", "bench"),
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("PMS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "--help"])
    assert done.exit_code == 0
    assert "Usage:" in done.output


def test_the_list_has_every_verb() -> None:
    listed = CliRunner().invoke(app, ["--help"]).output
    assert not [verb for verb in VERBS if f" {verb} " not in listed]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "database"], "database is no service"),
        (["send", "buy"], "buy is no command; there are trade"),
        (["send", "trad"], "trad is no command; did you mean trade?"),
        (["send", "trade", "symbol"], "symbol: expected key=value"),
        (["send", "trade", "orders=[1"], "orders:"),
        (["send", "trade", "a=b"], "no running system: there is no .pms/sim/ready.json"),
        (["orders"], "no running system"),
        (["halt"], "no running system"),
        (["doctor"], "no running system"),
        (["migrate"], "PMS_DATABASE_URL is not set"),
        (["up", "--sim", "--live"], "choose one of --sim, --testnet and --live"),
        (["up", "--live"], "PMS_BINANCE_ENV=live needs keys"),
        (["up", "--only", "feed,risks"], "risks is no service"),
        (["bench", "speed"], "speed is no benchmark; there are"),
    ],
)
def test_a_refusal_is_one_sentence_and_exit_code_2(words: list[str], sentence: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2, done.output
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_live_in_the_environment_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_BINANCE_ENV", "live")
    done = CliRunner().invoke(app, ["up"])
    assert done.exit_code == 2
    assert "needs --live as well" in done.output


def test_bad_settings_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_REDIS_ULR", "x")
    done = CliRunner().invoke(app, ["orders"])
    assert done.exit_code == 2
    assert done.output.strip() == "PMS_REDIS_ULR is no setting; the nearest one is PMS_REDIS_URL"


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "pms_cli", "run", "x"], capture_output=True, text=True, check=False)
    assert (done.returncode, "x is no service" in done.stderr) == (2, True)


def test_fields_keep_numbers_as_written_and_read_lists() -> None:
    fields = ["quantity=0.10", "reduceOnly=true", 'orders=[{"price": "1"}]', "note=a=b", "symbol=BTCUSDT"]
    assert parse_fields(fields) == {
        "quantity": "0.10",
        "reduceOnly": True,
        "orders": [{"price": "1"}],
        "note": "a=b",
        "symbol": "BTCUSDT",
    }


@pytest.mark.parametrize("name", VIEWS)
def test_a_table_fits_80_columns(name: str) -> None:
    row = {field: "PMS_account1_LMT_0123456789abcdef" for field, _ in VIEWS[name]}
    out = io.StringIO()
    Console(width=80, file=out).print(table(name, [row, dict.fromkeys(row, 1234567.12345678), {}]))
    lines = out.getvalue().splitlines()
    assert len(lines) > 4
    assert max(len(line) for line in lines) <= 80
    headings = [heading for _, heading in VIEWS[name]]
    assert not [heading for heading in headings if heading.split()[0] not in lines[1]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pms se", {"send"}),
        ("pms run o", {"orders"}),
        ("pms send twap_b", {"twap_basket", "twap_basket_cancel", "twap_basket_pause", "twap_basket_resume"}),
        ("pms send trade si", {"side=BUY", "side=SELL"}),
        ("pms send trade symbol=BTCUSDT sy", set()),
        ("pms send chase stalkM", {"stalkMode=none", "stalkMode=maintain", "stalkMode=trail"}),
    ],
)
def test_the_shell_completes_commands_types_and_fields(words: str, expected: set[str]) -> None:
    env = {"_PMS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = CliRunner().invoke(app, [], prog_name="pms", env=env)
    assert set(done.output.split()) == expected


def test_help_loads_no_database(tmp_path: Path) -> None:
    code = (
        "import sys, pms_cli.main; sys.exit(any(name in sys.modules for name in ('sqlalchemy', 'asyncpg', 'aiohttp')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
