"""Where exchangeInfo comes from: the built-in one, or a recorded file.

Accepts a bare body, and recordings of the form ``<url> -> <seconds>: <body>``.
"""

import json
from pathlib import Path
from typing import Any

from pms_simulator.domain.catalog import built_in


def load(path: Path | None) -> dict[str, Any]:
    """The exchangeInfo to serve; ValueError where the file holds none. Only USDT-margined symbols are kept."""
    if path is None:
        return built_in()
    text = path.read_text(encoding="utf-8")
    start = text.find("{")
    if start < 0:
        raise ValueError(f"{path} holds no exchangeInfo")
    info: dict[str, Any]
    info, _ = json.JSONDecoder().raw_decode(text, start)  # a recording may go on with other bodies
    info["symbols"] = [entry for entry in info["symbols"] if entry["marginAsset"] == "USDT"]
    return info
