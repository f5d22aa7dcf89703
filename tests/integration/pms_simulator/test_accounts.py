"""Several accounts in one simulator, opened at run time, and the three kinds of keys."""

import base64
import hmac
import time
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ED25519 = Ed25519PrivateKey.generate()
RSA = generate_private_key(65537, 2048)
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "59000"}


def pem(key: Ed25519PrivateKey | RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signature(key: Any, payload: str) -> str:
    data = payload.encode()
    if isinstance(key, str):
        return hmac.digest(key.encode(), data, "sha256").hex()
    signed = key.sign(data) if key is ED25519 else key.sign(data, PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signed).decode()


def query(key: Any, **params: Any) -> str:
    text = "&".join(f"{n}={v}" for n, v in {"timestamp": time.time_ns() // 1_000_000, **params}.items())
    return f"{text}&signature={quote(signature(key, text), safe='')}"


def api_params(key: Any, name: str, **params: Any) -> dict[str, Any]:
    params = {"apiKey": name, "timestamp": time.time_ns() // 1_000_000, **params}
    text = "&".join(f"{n}={params[n]}" for n in sorted(params))
    return {**params, "signature": signature(key, text)}


async def open_account(client: Any, name: str, key: Any, **more: Any) -> Any:
    secret = key if isinstance(key, str) else pem(key)
    return await client.control("POST", "accounts", apiKey=name, apiSecret=secret, **more)


@pytest.mark.parametrize("key", ["a secret", ED25519, RSA], ids=["hmac", "ed25519", "rsa"])
async def test_kinds_of_keys(client: Any, key: Any, frames: Any) -> None:
    assert (await open_account(client, "new", key, balance="70000"))["wallet"] == "70000"
    status, order, _ = await client.raw("POST", "/fapi/v1/order", query(key, **ORDER), key="new")
    assert (status, order["status"]) == (200, "NEW")
    wrong = query(key, **ORDER).replace("59000", "59001")
    assert (await client.raw("POST", "/fapi/v1/order", wrong, key="new"))[1]["code"] == -1022
    assert (await client.raw("POST", "/fapi/v1/order", "timestamp=1&signature=%2A", key="new"))[1]["code"] == -1021
    socket = await client.socket("/ws-fapi/v1")
    for damage, outcome in (("", 200), ("A", 400)):
        params = api_params(key, "new", **ORDER)
        await socket.send_json({"id": 1, "method": "order.place", "params": params | {"price": "59000" + damage}})
        assert (await frames(socket))["status"] == outcome


async def test_accounts_share_nothing(client: Any) -> None:
    await open_account(client, "key-a", "a", balance="50000")
    await open_account(client, "key-b", "b", account="house")
    for name in ("key-a", "key-b"):
        await client.raw("POST", "/fapi/v1/order", query(name[-1], **ORDER), key=name)
    await client.raw("POST", "/fapi/v1/order", query("b", **ORDER), key="key-b")
    for _ in range(3):
        assert (await client.raw("GET", "/fapi/v1/time", key="key-a"))[0] == 200
    states = {name: await client.control("GET", f"state?apiKey={name}") for name in ("key-a", "key-b", "sim-key")}
    assert [list(state["accounts"]) for state in states.values()] == [["key-a"], ["house"], ["main"]]
    assert [len(next(iter(s["accounts"].values()))["openOrders"]) for s in states.values()] == [1, 2, 0]
    headers = {"X-MBX-APIKEY": "key-b"}
    async with client.session.get(f"{client.simulator.url}/sim/state", headers=headers) as answer:
        assert list((await answer.json())["accounts"]) == ["house"]
    keys = {name: (await client.raw("POST", "/fapi/v1/listenKey", key=name))[1]["listenKey"] for name in states}
    assert len(set(keys.values())) == 3
    weights = [int((await client.raw("GET", "/fapi/v1/time", key=name))[2]["X-MBX-USED-WEIGHT-1M"]) for name in states]
    assert weights == [5, 2, 2]  # a and b on their own, main on the address
    assert {entry["account"] for entry in await client.control("GET", "requests?apiKey=key-b")} == {"house"}


async def test_two_keys_of_one_account(client: Any) -> None:
    await open_account(client, "again", "x", account="main")
    await client.limit()
    assert len((await client.raw("GET", "/fapi/v1/openOrders", query("x"), key="again"))[1]) == 1


async def test_bad_accounts_are_refused(client: Any) -> None:
    assert "'apiKey'" in (await client.control("POST", "accounts", apiSecret="x"))["msg"]
    assert "'publicKey'" in (await client.control("POST", "accounts", apiKey="x"))["msg"]
    assert "'balance'" in (await client.control("POST", "accounts", apiKey="x", apiSecret="y", balance="z"))["msg"]
    assert "'apiKey'" in (await client.control("POST", "accounts", apiKey="sim-key", apiSecret="y"))["msg"]
    broken = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    assert "'apiSecret'" in (await client.control("POST", "accounts", apiKey="x", apiSecret=broken))["msg"]
    assert "'colour'" in (await client.control("POST", "accounts", apiKey="x", apiSecret="y", colour="red"))["msg"]


async def test_logged_on_connection_needs_no_signature(client: Any, frames: Any) -> None:
    await open_account(client, "ed", ED25519)
    socket = await client.socket("/ws-fapi/v1")

    async def ask(method: str, **params: Any) -> Any:
        await socket.send_json({"id": 1, "method": method, "params": params})
        return await frames(socket)

    now = {"timestamp": time.time_ns() // 1_000_000}
    assert (await ask("order.place", **ORDER, **now))["error"]["code"] == -2014
    hmac_logon = client.api_frame("session.logon")["params"]
    assert (await ask("session.logon", **hmac_logon))["error"]["code"] == -1099
    logon = (await ask("session.logon", **api_params(ED25519, "ed")))["result"]
    assert logon["apiKey"] == "ed" and logon["authorizedSince"] >= logon["connectedSince"]
    assert (await ask("session.status"))["result"]["apiKey"] == "ed"
    assert (await ask("order.place", **ORDER, **now))["result"]["status"] == "NEW"
    assert (await ask("order.place", **ORDER))["error"]["code"] == -1102
    assert (await ask("order.place", **ORDER, **now, apiKey="ed", signature="x"))["error"]["code"] == -1022
    assert (await ask("session.logout"))["result"]["apiKey"] is None
    assert (await ask("order.place", **ORDER, **now))["error"]["code"] == -2014
