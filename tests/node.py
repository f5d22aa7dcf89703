"""What tests need of Node: a folder of scripts with their packages installed, made once for each version of it.

A test is skipped, with the reason, where Node or npm are missing or the packages do not come in time; `PMS_TEST_NPM_S`
allows them longer.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INSTALL_S = float(os.environ.get("PMS_TEST_NPM_S") or 60)
"""Enough for what lies in npm's cache, on a busy machine too. What was made once is kept in `.venv`."""
SCRIPTS = (".mjs", ".ts")
Command = tuple[str, ...]


def run(*words: str, cwd: Path, within_s: float = 60.0, **env: str) -> str:
    """What a program printed. Fails with what it complained of."""
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=within_s, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def installed(source: Path, then: Iterable[Command] = (), **env: str) -> Path:
    """A copy of `source`, a folder with a package-lock.json, after `npm ci` and the commands of `then`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed")
    files = sorted(path for path in source.iterdir() if path.is_file())
    version = hashlib.sha256(b"".join(path.read_bytes() for path in files if path.suffix not in SCRIPTS)).hexdigest()
    made = ROOT / ".venv" / f"node-{source.name}-{version[:12]}"
    if not made.exists():
        _make(made, source, then, env)
    for path in files:
        if path.suffix in SCRIPTS:
            shutil.copy(path, made)
    return made


def _make(made: Path, source: Path, then: Iterable[Command], env: Mapping[str, str]) -> None:
    folder = made.with_suffix(f".{os.getpid()}")
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("node_modules"))
    install = ("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")
    try:
        for command in (install, *then):
            run(*command, cwd=folder, within_s=INSTALL_S, **env)
        folder.rename(made)
    except (subprocess.TimeoutExpired, AssertionError) as error:
        pytest.skip(f"npm does not bring what {source.name} needs within {INSTALL_S} s: {str(error)[-300:]}")
    except OSError:
        assert made.exists()  # another run was faster
    finally:
        shutil.rmtree(folder, ignore_errors=True)
