"""One service in the foreground: `python -m pms_cli.run_service feed`, which `pms run feed` and `pms up` do."""

import importlib
import sys

SERVICES = ("feed", "orders", "risk", "algos", "gateway", "simulator")


def run_service(name: str) -> None:
    """Run a service until it stops; exits with its code."""
    importlib.import_module(f"pms_{name}.main").main()


if __name__ == "__main__":
    run_service(sys.argv[1])
