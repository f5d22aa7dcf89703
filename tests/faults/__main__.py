"""`python -m tests.faults`; see `command`. The clock is prepared before anything else is imported."""

import sys

from tests.faults import haste

haste.prepare()

from tests.faults.command import main  # noqa: E402 (it may keep the functions it imports)

sys.exit(main())
