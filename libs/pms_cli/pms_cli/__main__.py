"""`python -m pms_cli` is `pms`."""

from pms_cli.main import main

main()
