"""Every relative link and picture in README.md, docs and clients leads to a file, and to the heading it names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "clients" / "js" / "README.md"]

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)


def _prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """Headings as GitHub names them: lower case, spaces to hyphens, no other punctuation."""
    titles = _HEADING.findall(_prose(page))
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def _broken(page: Path) -> list[str]:
    broken = []
    for link in (a or b for a, b in _LINK.findall(_prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor.lower() not in _anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_resolves(page: Path) -> None:
    assert _broken(page) == []


def test_a_broken_link_or_anchor_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    (tmp_path / "b.md").write_text("# There it is\n", encoding="utf-8")
    text = 'x [a](none.md) [b](b.md#there-it-is) [c](b.md#gone) <img src="no.svg"> [d](https://e.org)\n'
    page.write_text(text + "```\n[f](code.md)\n```\n", encoding="utf-8")
    assert _broken(page) == ["none.md", "b.md#gone", "no.svg"]
