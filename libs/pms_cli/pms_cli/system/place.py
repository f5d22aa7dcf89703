"""Where a running system is: by the settings, or by the ready file of `pms up`."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pms_common.names import Names
from pms_common.settings import Settings, SettingsError

READY_FILE = "ready.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system answers, as URLs; `services` tells it for each one that the supervisor runs."""

    names: Names
    redis: str = field(repr=False)
    database: str = field(repr=False)
    gateway: str = ""
    simulator: str = ""
    services: dict[str, str] = field(default_factory=dict)
    account: str = "main"
    """Ours at the simulated exchange."""


def default_state(settings: Settings) -> Path:
    """The state directory of `pms up`; one for each environment, so that simulated trades never meet an exchange."""
    return Path(".pms") / settings.binance_env


def find_place(settings: Settings, ready_file: Path | None = None) -> Place:
    """The system meant by a ready file, by the settings, or, failing both, the one `pms up` runs here."""
    names = Names(settings.namespace, settings.feed_namespace)
    if ready_file is None and settings.redis_url:
        gateway = f"http://{settings.gateway_host}:{settings.gateway_port}"
        return Place(names, settings.redis_url, settings.database_url, gateway)
    path = ready_file or default_state(settings) / READY_FILE
    try:
        ready = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        advice = "start one with pms up, or set PMS_REDIS_URL"
        raise SettingsError(f"no running system: there is no {path}; {advice}") from None
    services = {name: told["metrics"] for name, told in ready["services"].items()}
    return Place(names, ready["redis"], ready["database"], ready["gateway"] or "", ready["simulator"] or "", services)
