"""The `pms` command: every verb an operator needs. Wiring only."""

import typer

from pms_cli.commands import bench, demo, doctor, record, replay, run, send, views

app = typer.Typer(
    name="pms",
    help="One exchange account, many honest books: run, trade, watch and check the PMS executor.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for command in (
    *(run.up, run.run, run.migrate, run.passwords),
    *(send.send, views.status, views.watch, views.accounts, views.orders, views.positions, views.algos),
    *(send.halt, send.reduce, send.resume),
    *(doctor.doctor, replay.replay, record.record, bench.bench, demo.demo),
):
    app.command(command.__name__)(command)


def main() -> None:
    """The console script `pms`."""
    app()


if __name__ == "__main__":
    main()
