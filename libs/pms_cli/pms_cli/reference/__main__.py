"""`python -m pms_cli.reference [--check] [ROOT]`."""

import argparse
import sys
from pathlib import Path

from pms_cli.reference.pages import stale, write


def main() -> None:
    """Write the files, or with --check name those that are stale."""
    parser = argparse.ArgumentParser(prog="python -m pms_cli.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail naming each stale file")
    parser.add_argument("root", nargs="?", type=Path, default=Path(), help="the repository")
    given = parser.parse_args()
    if not given.check:
        write(given.root)
        return
    behind = stale(given.root)
    if behind:
        sys.exit("\n".join(f"{path} is not what the code says: run `make docs`" for path in behind))


main()
