"""The AsyncAPI document before AsyncAPI's own parser."""

import json
from pathlib import Path

import pytest
from tests.node import ROOT, installed, run

from pms_common.contracts.commands import COMMANDS
from pms_common.contracts.events import EVENTS

SOURCE = Path(__file__).parent / "asyncapi"
DOCUMENT = ROOT / "docs" / "reference" / "asyncapi.json"


@pytest.fixture(scope="module")
def parser() -> Path:
    """A folder with the parser."""
    return installed(SOURCE)


def test_the_document_is_valid_and_has_every_operation(parser: Path) -> None:
    found = json.loads(run("node", "validate.mjs", str(DOCUMENT), cwd=parser))
    assert found == {"wrong": [], "operations": len(COMMANDS) + 1 + len(EVENTS)}


def test_a_broken_document_is_found(parser: Path, tmp_path: Path) -> None:
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    document["operations"]["trade"]["reply"]["channel"]["$ref"] = "#/channels/none"
    broken = tmp_path / "asyncapi.json"
    broken.write_text(json.dumps(document), encoding="utf-8")
    assert json.loads(run("node", "validate.mjs", str(broken), cwd=parser))["wrong"]
