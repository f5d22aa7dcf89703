"""What several commands need: finding the system, failing with one sentence."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pms_cli.system.place import Place, find_place
from pms_common.settings import Settings, SettingsError, load_settings

ReadyFile = Annotated[Path | None, typer.Option("--ready-file", help="The ready file of the pms up that is meant.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Print why to standard error and exit."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def settings() -> Settings:
    """The settings; exits with 2 where they cannot be used."""
    try:
        return load_settings()
    except SettingsError as error:
        fail(str(error), 2)


def place(ready_file: Path | None) -> Place:
    """The system that is meant; exits with 2 where there is none."""
    try:
        return find_place(settings(), ready_file)
    except SettingsError as error:
        fail(str(error), 2)
