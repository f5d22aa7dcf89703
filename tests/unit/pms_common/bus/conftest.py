"""The outbox connects again at once."""

import pytest

from pms_common.bus import dial as dial_module


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(dial_module, "BACKOFF_FIRST_S", 0.0)
