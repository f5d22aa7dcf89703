"""The pages and their folder: written, or compared with what is there."""

from collections.abc import Callable
from pathlib import Path

from pms_cli.reference import commands, errors, events, metrics, results, settings, streams

PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "results.md": results.page,
    "events.md": events.page,
    "errors.md": errors.page,
    "settings.md": settings.page,
    "metrics.md": metrics.page,
    "streams.md": streams.page,
}
NOTICE = "<!-- Written by `make docs` from the code; do not edit. -->\n\n"


def render() -> dict[str, str]:
    """Name of each page → its text; the same for the same code."""
    return {name: NOTICE + page() for name, page in PAGES.items()}


def write(folder: Path) -> None:
    """Write all pages into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render().items():
        (folder / name).write_text(text, encoding="utf-8")


def stale(folder: Path) -> list[Path]:
    """The pages of `folder` that are missing or differ, and files there that no page is written to."""
    texts = render()
    behind = [folder / name for name, text in texts.items() if _read(folder / name) != text]
    return behind + sorted(path for path in folder.glob("*") if path.name not in texts)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
