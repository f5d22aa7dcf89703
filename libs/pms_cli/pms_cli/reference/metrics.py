"""The page of all metrics of ours: name, type, labels, help, and the services whose processes have them.

Read from the calls of `pms_common.metrics.counter`, `gauge` and `histogram`, which make every metric.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from pms_cli.reference import markdown
from pms_cli.reference.imports import loaded_by
from pms_cli.reference.markdown import code, table
from pms_cli.run_service import SERVICES

_INTRO = """Every service serves these under `/metrics`. Durations are seconds; a histogram has `_bucket`, `_sum` and
`_count`. Beside them stand Python's own `process_…` and `python_…`."""
_MAKERS = ("counter", "gauge", "histogram")


class Metric(NamedTuple):
    """One metric as Prometheus shows it."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def page() -> str:
    """The page."""
    services = defaultdict(list)
    for service in SERVICES:
        for metric in metrics_of(service):
            services[metric].append(service)
    rows = [
        (code(metric.name), metric.type, ", ".join(map(code, metric.labels)), metric.help, _named(services[metric]))
        for metric in sorted(services)
    ]
    return markdown.page("Metrics", _INTRO, table(("name", "type", "labels", "help", "services"), rows))


def metrics_of(service: str) -> list[Metric]:
    """The metrics of one service's process."""
    return [metric for source in loaded_by(f"pms_{service}.main").values() for metric in _made_in(source)]


def _made_in(source: ast.Module) -> Iterator[Metric]:
    for statement in source.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            call = statement.value
            maker = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if maker in _MAKERS:
                yield _metric(maker, call)


def _metric(maker: str, call: ast.Call) -> Metric:
    name, text, *labels = [ast.literal_eval(argument) for argument in call.args]
    ending = "_total" if maker == "counter" else ""
    return Metric(f"pms_{name}{ending}", maker, tuple(labels[0]) if labels else (), text)


def _named(services: list[str]) -> str:
    return "all" if len(services) == len(SERVICES) else ", ".join(services)
