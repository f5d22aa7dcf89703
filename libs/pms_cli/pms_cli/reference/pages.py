"""The files written from the code, and where they lie: written, or compared with what is there."""

from collections.abc import Callable
from pathlib import Path

from pms_cli.reference import (
    commands,
    documents,
    errors,
    events,
    metrics,
    redis_users,
    results,
    settings,
    streams,
    typescript,
)

REFERENCE = "docs/reference"
NOTICE = "<!-- Written by `make docs` from the code; do not edit. -->\n\n"
PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "results.md": results.page,
    "events.md": events.page,
    "errors.md": errors.page,
    "settings.md": settings.page,
    "metrics.md": metrics.page,
    "streams.md": streams.page,
}
"""For people."""
DOCUMENTS: dict[str, Callable[[], str]] = {
    f"{REFERENCE}/contract.schema.json": documents.json_schema,
    f"{REFERENCE}/asyncapi.json": documents.asyncapi,
    f"{REFERENCE}/openapi.json": documents.openapi,
    "clients/js/types.d.ts": typescript.types,
    "deploy/redis/users.acl": redis_users.users,
}
"""For machines."""


def render() -> dict[str, str]:
    """Path of each file → its text; the same for the same code."""
    pages = {f"{REFERENCE}/{name}": NOTICE + page() for name, page in PAGES.items()}
    return pages | {path: document() for path, document in DOCUMENTS.items()}


def write(root: Path) -> None:
    """Write all files under `root`, the repository."""
    for path, text in render().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def stale(root: Path) -> list[Path]:
    """The files that are missing or differ, and those among the reference pages that nobody writes."""
    texts = {root / path: text for path, text in render().items()}
    behind = [path for path, text in texts.items() if _read(path) != text]
    return behind + sorted(path for path in (root / REFERENCE).glob("*") if path not in texts)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
