"""Key pairs of the exchange's three kinds: HMAC is what every other test uses, these are RSA and Ed25519."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tests.integration.pms_orders.conftest import desk_at
from tests.integration.pms_orders.desk import Desk, simulator

from pms_cli.health.exchange import examine_exchange
from pms_common.names import Names
from pms_common.settings import Settings


def key_files(folder: Path, key: RSAPrivateKey | Ed25519PrivateKey) -> tuple[Path, Path]:
    """The private key for us, and the public one with its name for the exchange."""
    ours, theirs = folder / "secret.pem", folder / "keys.json"
    ours.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    theirs.write_text(json.dumps([{"key": "own-key", "secret": public}]))
    return ours, theirs


async def trade_both_ways(desk: Desk) -> list[dict[str, Any]]:
    """An order placed, amended and cancelled on the trading socket, and one over REST; what the exchange was asked."""
    order = await desk.place("r1", time_in_force="GTX")
    await desk.until_state(order, "active")
    await desk.amend(order, "59000.0")
    await desk.until_cause(order, "amended")
    await desk.cancel(order)
    await desk.until_state(order, "cancelled")
    await desk.sim.fault("disconnect", sockets="ws-api", seconds=60)
    over_rest = await desk.place("r2")
    await desk.until_state(over_rest, "active")
    asked: list[dict[str, Any]] = await desk.sim.get("/sim/requests")
    return asked


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_a_key_pair_signs_whatever_is_asked(
    kind: str, names: Names, redis_url: str, database: str, tmp_path: Path
) -> None:
    key = generate_private_key(65_537, 2_048) if kind == "rsa" else Ed25519PrivateKey.generate()
    ours, theirs = key_files(tmp_path, key)
    own = {"PMS_BINANCE_API_KEY": "own-key", "PMS_BINANCE_API_SECRET_FILE": str(ours)}
    with simulator(PMS_SIM_KEYS_FILE=str(theirs)) as address:
        async with desk_at(address, names, redis_url, database, **own) as desk:
            asked = await trade_both_ways(desk)
        key_pair = {"binance_api_key": "own-key", "binance_api_secret": ours.read_text()}
        settings = Settings.model_validate({"binance_rest_url": address["rest"], **key_pair})
        findings = await examine_exchange(settings, "")
    placed = [item for item in asked if item["name"] in ("order.place", "POST /fapi/v1/order")]
    assert [item["transport"] for item in placed] == ["ws", "rest"]
    logged_on = any(item["name"] == "session.logon" for item in asked)
    assert logged_on is (kind == "ed25519")  # the venue lets only Ed25519 log on; then no request is signed
    assert ("apiKey" in placed[0]["params"]) is not logged_on
    assert [finding.state for finding in findings if finding.what == "keys"] == ["ok"]
