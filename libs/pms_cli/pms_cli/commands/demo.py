"""`pms demo`: the main job once, for somebody who has just cloned this."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    seconds: Annotated[float, typer.Option(help="How long it takes, besides waiting for the market.")] = 12.0,
    speed: Annotated[float, typer.Option(help="How much faster than real time the market and the session go.")] = 1.0,
    replay: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A recorded market.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running, and say where its page is.")] = False,
    json: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the comparison here.")] = None,
) -> None:
    """Trade with two accounts on a simulated exchange, then compare the books with it."""
    from pms_cli.demo.run import Options  # here: what it needs takes a while to import
    from pms_cli.demo.run import demo as play

    try:
        code = play(Options(seconds, speed, replay, keep, json))
    except KeyboardInterrupt:
        code = 0 if keep else 130
    raise typer.Exit(code)
