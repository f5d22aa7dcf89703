"""`pms passwords`: everybody gets their own, in the form they read, and a second run changes none."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from pms_cli.main import app
from pms_common.bus.url import parse
from pms_gateway.door.tokens import Role, load_tokens

ROOT = Path(__file__).parents[3]
ACLS = [ROOT / "deploy" / "redis" / name for name in ("users.acl", "ha-users.acl")]
DATABASE = "postgresql+asyncpg://postgres:5432/pms"


def make(folder: Path, redis: str = "redis://redis:6379/0") -> dict[str, str]:
    """All files, by name."""
    words = ["passwords", str(folder), f"--redis={redis}", f"--database={DATABASE}", *(f"--acl={acl}" for acl in ACLS)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    secrets = [text for name, text in files.items() if name.startswith("made/")]
    assert not [secret for secret in secrets if secret in done.output]
    return files


def test_a_redis_user_has_the_password_whose_hash_the_server_knows(tmp_path: Path) -> None:
    files = make(tmp_path)
    hashes = {
        line.split()[1]: line.split()[3].lstrip("#") for line in files["redis/users.acl"].splitlines() if "#" in line
    }
    for who in ("feed", "orders", "risk", "algos", "gateway", "js", "operator"):
        endpoint = parse(files[f"{who}/redis_url"].strip())
        assert (endpoint.host, endpoint.port) == ("redis", 6379)
        assert hashes[endpoint.username] == hashlib.sha256(endpoint.password.encode()).hexdigest()
    assert "REPLACE" not in files["redis/users.acl"]
    assert f"masterauth {files['made/redis-replica']}" in files["redis/replication.conf"]


def test_with_sentinels_the_url_names_them_and_their_password(tmp_path: Path) -> None:
    files = make(tmp_path, "redis+sentinel://s1:26379,s2:26379/pms/0")
    endpoint = parse(files["orders/redis_url"].strip())
    assert endpoint.sentinels == (("s1", 26379), ("s2", 26379))
    assert f"requirepass {endpoint.sentinel_password}" in files["redis/sentinel.conf"]


def test_each_service_has_a_role_of_its_own_in_the_database(tmp_path: Path) -> None:
    files = make(tmp_path)
    passwords = {}
    for service in ("orders", "risk", "algos", "gateway"):
        url = urlsplit(files[f"{service}/database_url"].strip())
        assert (url.username, url.hostname, url.path) == (f"pms_{service}", "postgres", "/pms")
        assert f"ALTER ROLE pms_{service} PASSWORD '{url.password}';" in files["postgres/passwords.sql"]
        passwords[url.password] = service
    assert len(passwords) == 4
    assert "feed/database_url" not in files


def test_the_gateway_knows_tokens_by_their_hash_only(tmp_path: Path) -> None:
    files = make(tmp_path)
    tokens = load_tokens(tmp_path / "gateway" / "tokens")
    roles = {"operator": Role.OPERATOR, "js": Role.TRADE, "reader": Role.READ}
    for who, role in roles.items():
        found = tokens.find(files[f"{who}/token"].strip())
        assert found is not None and found.role is role
        assert files[f"{who}/token"].strip() not in files["gateway/tokens"]


def test_a_second_run_keeps_the_passwords_and_follows_the_addresses(tmp_path: Path) -> None:
    before, after = make(tmp_path), make(tmp_path, "redis://elsewhere:6380/0")
    assert {name for name in before if before[name] != after[name]} == {
        name for name in before if name.endswith("/redis_url")
    }


def test_a_list_of_users_that_is_not_there_is_named(tmp_path: Path) -> None:
    words = ["passwords", str(tmp_path), "--redis=redis://r", f"--database={DATABASE}", "--acl=/nowhere/users.acl"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "/nowhere/users.acl" in done.output


@pytest.mark.parametrize("who", ["js", "operator", "reader"])
def test_people_get_what_they_present_at_the_gateway(tmp_path: Path, who: str) -> None:
    assert len(make(tmp_path)[f"{who}/token"].strip()) >= 32
