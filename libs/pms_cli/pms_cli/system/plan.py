"""From settings and options to a plan: which services run, where each answers, with which environment."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from pms_cli.embedded import free_port
from pms_cli.run_service import SERVICES
from pms_common.settings import EXCHANGE_KEYS, Settings, SettingsError, env_name

SIMULATOR = "simulator"
NO_DATABASE = ("feed", SIMULATOR)


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs. `env` is what all children are given beyond this process's environment."""

    services: tuple[str, ...]
    urls: Mapping[str, str]
    env: Mapping[str, str] = field(repr=False)

    def with_env(self, env: Mapping[str, str]) -> Self:
        """The same plan, with more for all children."""
        return replace(self, env={**self.env, **env})

    def environment(self, service: str) -> dict[str, str]:
        """The environment of one service: exchange keys only for orders, a database only where one is needed."""
        env = {**os.environ, **self.env}
        withheld = [] if service == "orders" else [env_name(name) for name in EXCHANGE_KEYS]
        if service in NO_DATABASE:
            withheld.append(env_name("database_url"))
        for name in withheld:
            env.pop(name, None)
            env.pop(f"{name}_FILE", None)
        return env


def choose_environment(settings: Settings, mode: str | None) -> str:
    """The exchange environment of `pms up`: live only if asked for by `--live`, and only with keys."""
    if mode is None and settings.binance_env == "live":
        raise SettingsError("PMS_BINANCE_ENV=live needs --live as well; or choose --sim or --testnet")
    return mode or settings.binance_env


def make_plan(settings: Settings, only: Sequence[str] = ()) -> Plan:
    """The plan for `settings`; ports that are 0 become free ones."""
    unknown = sorted(set(only) - set(SERVICES))
    if unknown:
        raise SettingsError(f"--only: {', '.join(unknown)} is no service; there are {', '.join(SERVICES)}")
    services = [name for name in SERVICES if name != SIMULATOR and (not only or name in only)]
    env: dict[str, str] = {"PMS_BINANCE_ENV": settings.binance_env}
    if settings.binance_env == "sim" and not os.environ.get("PMS_BINANCE_REST_URL"):
        services.insert(0, SIMULATOR)
    urls = {}
    for name in services:
        port = settings.metrics_port(name) or free_port()
        env[_port_name(name)] = str(port)
        urls[name] = f"http://{_host(settings, name)}:{port}"
    return Plan(tuple(services), urls, env)


def _port_name(service: str) -> str:
    names = {"gateway": "PMS_GATEWAY_PORT", SIMULATOR: "PMS_SIM_PORT"}
    return names.get(service, f"PMS_{service.upper()}_METRICS_PORT")


def _host(settings: Settings, service: str) -> str:
    hosts = {"gateway": settings.gateway_host, SIMULATOR: settings.sim_host}
    host = hosts.get(service, settings.metrics_host)
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
