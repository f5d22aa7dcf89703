"""`pms up`, `pms run`, `pms migrate`, `pms passwords`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from pms_cli.commands.shared import AsJson, fail, settings
from pms_cli.run_service import SERVICES, run_service
from pms_common.settings import SettingsError


def _services(begun: str) -> list[str]:
    return [name for name in SERVICES if name.startswith(begun)]


def up(
    sim: Annotated[bool, typer.Option("--sim", help="On the simulated exchange (the default).")] = False,
    testnet: Annotated[bool, typer.Option("--testnet", help="On the exchange's testnet.")] = False,
    live: Annotated[bool, typer.Option("--live", help="With real money; needs keys too.")] = False,
    only: Annotated[str, typer.Option(help="Only these services, separated by commas.")] = "",
    state_dir: Annotated[Path | None, typer.Option(help="Data of the embedded servers (.pms/<environment>).")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written when all are ready (in the state dir).")] = None,
) -> None:
    """Run the services as processes, with embedded Redis and PostgreSQL where no URL is set."""
    from pms_cli.embedded import ServerError, StateInUseError
    from pms_cli.system.up import Options
    from pms_cli.system.up import up as run_system

    modes = [name for name, chosen in (("sim", sim), ("testnet", testnet), ("live", live)) if chosen]
    if len(modes) > 1:
        fail("choose one of --sim, --testnet and --live", 2)
    services = [name.strip() for name in only.split(",") if name.strip()]
    try:
        code = run_system(Options(modes[0] if modes else None, services, state_dir, ready_file))
    except (SettingsError, StateInUseError, ServerError) as error:
        fail(str(error), 2)
    raise typer.Exit(code)


def run(service: Annotated[str, typer.Argument(help=" | ".join(SERVICES), autocompletion=_services)]) -> None:
    """Run one service in the foreground."""
    if service not in SERVICES:
        fail(f"{service} is no service; there are {', '.join(SERVICES)}", 2)
    run_service(service)


def migrate(
    revision: Annotated[str, typer.Option(help="A revision to go up to.")] = "heads",
    as_json: AsJson = False,
) -> None:
    """Bring the database (PMS_DATABASE_URL) to the newest schema."""
    from pms_cli import migrate as migrations

    url = settings().database_url
    if not url:
        fail("PMS_DATABASE_URL is not set", 2)
    try:
        migrations.upgrade(url, revision)
    except OSError as error:
        fail(f"the database does not answer: {error}")
    has = sorted(asyncio.run(migrations.current(url)))
    typer.echo(json.dumps({"schema": has}) if as_json else f"the database has the schema {', '.join(has)}")


def passwords(
    folder: Annotated[Path, typer.Argument(help="Where to write them; what is there stays.")],
    redis: Annotated[str, typer.Option(help="Redis, as a URL without user.")],
    database: Annotated[str, typer.Option(help="PostgreSQL, as a URL without user.")],
    acl: Annotated[list[Path], typer.Option(help="Lists of Redis users, with places for their passwords.")],
) -> None:
    """Make the passwords of a deployment, each as a file for the one who needs it."""
    from pms_cli.passwords import Servers, write

    try:
        write(folder, Servers(redis, database, tuple(acl)))
    except OSError as error:
        fail(f"cannot write the passwords: {error}")
    typer.echo(f"the passwords are in {folder}")
