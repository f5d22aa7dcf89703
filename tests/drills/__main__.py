"""`python -m tests.drills`; see `command`."""

import sys

from tests.drills.command import main

sys.exit(main())
