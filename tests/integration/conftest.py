"""What tests against processes share."""

import pytest
from tests.services import nursery


@pytest.fixture(scope="session", autouse=True)
def _nursery_began() -> None:
    """Its imports go on while the first test's servers start: no test waits for them with its loop standing still."""
    nursery()
