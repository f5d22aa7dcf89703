"""Secrets in the working tree: `python -m tests.secret_scan [--all]`, exit code 1 and their places where there are any.

Without `--all` only files in which something looks like a key, a token or a password in a URL are given to
detect-secrets, whose plugins decide: a second instead of twenty. What is known to be none is in `.secrets.baseline`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

BASELINE = ".secrets.baseline"
LEFT_OUT = ("*.lock", "docs/images", "docs/reference", "*package-lock.json", "clients/js/types.d.ts", BASELINE)
TOKENS = (
    "BEGIN[A-Z ]* PRIVATE KEY",
    "AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20}|glpat-|xox[a-z]-|eyJ[A-Za-z0-9_-]{10}|npm_[A-Za-z0-9]{20}|pypi-Ag",
    "sk_(live|test)_|sk-[A-Za-z0-9]{20}|SG\\.[A-Za-z0-9_-]{20}",
    "://[^][ :/@'\"{}]+:[^][ @/{}'\"]+@",
    "(key|passw|pwd|secret|token)[A-Za-z_]*['\"]?\\]? *(:|=|=>) *['\"]?[A-Za-z0-9+/=_-]{24,}",
)


def files(root: Path, everything: bool) -> list[str]:
    """What is looked through: tracked files and those that would be added."""
    asked = ["git", "grep", "--untracked", "-lEi", "-I"]
    for token in TOKENS if not everything else ("",):
        asked += ["-e", token]
    asked += ["--", ".", *(f":!{path}" for path in LEFT_OUT)]
    return subprocess.run(asked, cwd=root, capture_output=True, text=True, check=False).stdout.splitlines()


def scan(root: Path, everything: bool = False) -> list[str]:
    """Where a secret is that the baseline does not know, a line each."""
    told = baseline.load_from_file(str(root / BASELINE))
    found = SecretsCollection(str(root))
    with transient_settings({"plugins_used": told["plugins_used"], "filters_used": told.get("filters_used", [])}):
        for name in files(root, everything):
            found.scan_file(name)
    known = {(name, one["type"], one["hashed_secret"]) for name, ones in told["results"].items() for one in ones}
    return [
        f"{name}:{secret.line_number}: {secret.type}"
        for name, secret in found
        if (name, secret.type, secret.secret_hash) not in known
    ]


def main() -> None:
    """Scan the repository."""
    options = argparse.ArgumentParser(prog="secret_scan")
    options.add_argument("--all", action="store_true", help="every file with every plugin")
    found = scan(Path(__file__).parent.parent, options.parse_args().all)
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
