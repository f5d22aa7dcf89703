"""`pms send`, `pms halt`, `pms reduce`, `pms resume`: commands into their streams, the result back."""

import asyncio
import difflib
import json
import uuid
from typing import Annotated, Any

import typer

from pms_cli.commands.shared import ReadyFile, fail, place
from pms_cli.system.place import Place
from pms_common.topology import ALGOS_COMMANDS, ORDERS_COMMANDS, RISK_COMMANDS

OPERATOR_COMMANDS = ("account", "trading_state")
COMMANDS = (*RISK_COMMANDS, *ORDERS_COMMANDS, *ALGOS_COMMANDS, *OPERATOR_COMMANDS)
NO_ANSWER = 3
"""Exit code when no result came in time."""

AsJson = Annotated[bool, typer.Option("--json", help="On one line, for scripts.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for the result.")]
Account = Annotated[str, typer.Option(help="Only this account.")]
Symbol = Annotated[str, typer.Option(help="Only this symbol.")]


def commands_from(begun: str) -> list[str]:
    """Completions of a command's type."""
    return [name for name in COMMANDS if name.startswith(begun)]


def fields_from(context: typer.Context, begun: str) -> list[str]:
    """Completions of a field's name, of those of the type that stands before it; its words where it has some."""
    from pms_common.contracts import commands as contracts
    from pms_common.contracts.rules import OneOf
    from pms_common.contracts.shapes import shape_of

    cls = contracts.COMMANDS.get(context.params.get("command") or "")
    if cls is None:
        return []
    given = {word.partition("=")[0] for word in context.params.get("fields") or ()}
    words = []
    for field in shape_of(cls).fields:
        if field.name not in given:
            values = field.rule.words if isinstance(field.rule, OneOf) else ("",)
            words += [f"{field.name}={value}" for value in values]
    return [word for word in words if word.startswith(begun)]


def send(
    command: Annotated[
        str,
        typer.Argument(metavar="TYPE", help="trade, limit, cancel, chase, account, …", autocompletion=commands_from),
    ],
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE …", help="docs/reference/commands.md", autocompletion=fields_from),
    ] = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
    ready_file: ReadyFile = None,
) -> None:
    """Send a command and print its result: pms send trade subAccountId=a1 symbol=BTCUSDT side=BUY quantity=0.01"""
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, 1)
        meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(COMMANDS)}"
        fail(f"{command} is no command{meant}", 2)
    try:
        body = parse_fields(fields or [])
    except ValueError as error:
        fail(str(error), 2)
    _send_and_print(place(ready_file), command, body, timeout, as_json)


def halt(
    account: Account = "",
    symbol: Symbol = "",
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel all own orders too.")] = False,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
    ready_file: ReadyFile = None,
) -> None:
    """Stop trading: only cancels and liquidations pass."""
    _set_state("halted", account, symbol, timeout, ready_file, as_json, cancel=cancel)


def reduce(
    account: Account = "",
    symbol: Symbol = "",
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
    ready_file: ReadyFile = None,
) -> None:
    """Let only reductions and cancels pass."""
    _set_state("reducing", account, symbol, timeout, ready_file, as_json)


def resume(
    account: Account = "",
    symbol: Symbol = "",
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
    ready_file: ReadyFile = None,
) -> None:
    """Trade again."""
    _set_state("active", account, symbol, timeout, ready_file, as_json)


def _set_state(
    state: str, account: str, symbol: str, timeout: float, ready_file: Any, as_json: bool, *, cancel: bool = False
) -> None:
    body: dict[str, Any] = {"state": state}
    body |= {"subAccountId": account} if account else {}
    body |= {"symbol": symbol} if symbol else {}
    body |= {"cancel": True} if cancel else {}
    _send_and_print(place(ready_file), "trading_state", body, timeout, as_json)


def parse_fields(fields: list[str]) -> dict[str, Any]:
    """`key=value` words to a command's body. Lists, objects, true and false are JSON; numbers stay as written."""
    body: dict[str, Any] = {}
    for word in fields:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ValueError(f"{word}: expected key=value")
        try:
            body[key] = json.loads(value) if value[:1] in ("[", "{") or value in ("true", "false") else value
        except json.JSONDecodeError as error:
            raise ValueError(f"{key}: {error}") from None
    return body


def _send_and_print(where: Place, command: str, body: dict[str, Any], timeout: float, as_json: bool) -> None:
    from redis.exceptions import RedisError

    body.setdefault("requestId", f"cli-{uuid.uuid4().hex[:16]}")
    try:
        result = asyncio.run(request(where, command, body, timeout))
    except (RedisError, OSError) as error:
        fail(f"Redis does not answer: {error}", 2)
    if result is None:
        fail(
            f"written, but no result within {timeout:g} s (is the system ready? pms doctor); the same command again"
            f" with requestId={body['requestId']} is not executed twice and tells the outcome",
            NO_ANSWER,
        )
    typer.echo(json.dumps(result, indent=None if as_json else 2, ensure_ascii=False))
    raise typer.Exit(0 if result.get("success") else 1)


async def request(where: Place, command: str, body: dict[str, Any], timeout_s: float) -> dict[str, Any] | None:
    """Write a command and wait for its result; None when none came in time. Subscribes first, so nothing is missed."""
    from pms_common.bus.dial import connected

    names = where.names
    stream = names.op(command) if command in OPERATOR_COMMANDS else names.cmd(command)
    key = names.result(str(body["requestId"]))
    async with connected(where.redis, names.namespace, decode_responses=True) as client, client.pubsub() as listener:
        await listener.subscribe(key)
        await client.xadd(stream, {"data": json.dumps(body)})
        try:
            async with asyncio.timeout(timeout_s):
                return await _result(client, listener, key)
        except TimeoutError:
            return None


async def _result(client: Any, listener: Any, key: str) -> dict[str, Any]:
    while True:
        message = await listener.get_message(ignore_subscribe_messages=True, timeout=1.0)
        text = message["data"] if message else await client.get(key)
        if text:
            result: dict[str, Any] = json.loads(text)
            return result
