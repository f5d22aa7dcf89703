"""Markdown of the reference pages: headings and tables."""

from collections.abc import Iterable, Sequence


def page(title: str, *parts: str) -> str:
    """A page of parts, with an empty line between two."""
    return "\n\n".join((f"# {title}", *parts)) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a pipe or a line break in a cell is made harmless."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in lines)


def code(text: object) -> str:
    """Literal text."""
    return f"`{text}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
