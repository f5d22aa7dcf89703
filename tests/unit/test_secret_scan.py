"""The quick scan finds a secret that is planted, and only what is new."""

import subprocess
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.secret_scan import BASELINE, scan

HALF = "9f8e2c71b04d5a6e"
PLANTED = {
    "Private Key": ("key.pem", "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n"),
    "AWS Access Key": ("settings.py", 'x = "AKIA' + 'Z7QXR5TNW2LJ4KDM"\n'),
    "Basic Auth Credentials": ("compose.yaml", "url: redis://admin:" + "Jq3vT8wZ@10.0.0.5:6379\n"),
    "Secret Keyword": ("client.py", f'api_secret = "{HALF}{HALF[::-1]}Qz{HALF}"\n'),
    "GitHub Token": ("ci.yaml", "with: ghp_" + "n4R8sT2vW6xY0zA3bC7dE1fG5hJ9kL2mN6pQ\n"),
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty one, with our baseline."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / BASELINE).write_text((ROOT / BASELINE).read_text())
    return tmp_path


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found_where_it_lies(repository: Path, kind: str, everything: bool) -> None:
    name, text = PLANTED[kind]
    (repository / name).write_text("first = 1\n" + text)
    assert f"{name}:2: {kind}" in scan(repository, everything)


def test_what_is_none_is_not_told(repository: Path) -> None:
    (repository / "settings.py").write_text('secret_file = "/run/secrets/x"\nname = "a-long-name-of-a-stream-or-key"\n')
    assert scan(repository) == []
