"""Signatures by the kind of key, and secrets that are never shown."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from pms_common.settings import SettingsError
from pms_orders.adapters.binance.signing import Signer

TEXT = "symbol=BTCUSDT&timestamp=1"


def pem(key: Any, encryption: KeySerializationEncryption | None = None) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode())


@pytest.fixture(scope="module")
def rsa() -> RSAPrivateKey:
    return generate_rsa(public_exponent=65_537, key_size=2_048)


def test_an_hmac_secret_signs_in_hex_as_the_documentation_says() -> None:
    secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    text = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
        "&timestamp=1591702613943"
    )
    signer = Signer("key", secret)
    assert signer.sign(text) == "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    assert not signer.logs_on


def test_an_rsa_key_signs_by_pkcs1_v15_with_sha_256(rsa: RSAPrivateKey) -> None:
    signer = Signer("key", pem(rsa))
    rsa.public_key().verify(base64.b64decode(signer.sign(TEXT)), TEXT.encode(), PKCS1v15(), SHA256())
    assert not signer.logs_on


@pytest.mark.parametrize("written", ["plain", "escaped", "padded"])
def test_an_ed25519_key_signs_and_logs_on_however_its_line_ends_came(written: str) -> None:
    key = Ed25519PrivateKey.generate()
    text = {"plain": pem(key), "escaped": pem(key).replace("\n", "\\n"), "padded": f"\n {pem(key)}\n"}[written]
    signer = Signer("key", text)
    key.public_key().verify(base64.b64decode(signer.sign(TEXT)), TEXT.encode())
    assert signer.logs_on


def test_a_base64_signature_is_encoded_in_a_query(rsa: RSAPrivateKey) -> None:
    signer = Signer("key", pem(rsa))
    query = signer.query({"symbol": "BTCUSDT"}, 1)
    text, _, signature = query.partition("&signature=")
    assert text == "symbol=BTCUSDT&recvWindow=1000&timestamp=1"
    assert not set(signature) & set("+/=") and signature.count("%") >= 2


def test_a_secret_is_never_shown(rsa: RSAPrivateKey) -> None:
    for secret in ("a secret of more than sixty letters, as those of the venue are long", pem(rsa)):
        signer = Signer("key", secret)
        shown = f"{signer!r} {signer} {[getattr(signer, name) for name in signer.__slots__]}"
        assert secret[40:60] not in shown


@pytest.mark.parametrize("spoilt", ["cut", "password", "curve", "empty"])
def test_a_key_that_cannot_be_used_is_refused_without_showing_it(rsa: RSAPrivateKey, spoilt: str) -> None:
    whole = pem(rsa)
    text = {
        "cut": whole[:600] + "\n-----END PRIVATE KEY-----",
        "password": pem(rsa, BestAvailableEncryption(b"x")),
        "curve": pem(generate_private_key(SECP256R1())),
        "empty": "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
    }[spoilt]
    with pytest.raises(SettingsError, match="PMS_BINANCE_API_SECRET") as refusal:
        Signer("key", text)
    assert whole[100:120] not in str(refusal.value)
    assert refusal.value.__cause__ is None and refusal.value.__suppress_context__ == (spoilt != "curve")


@pytest.mark.data
def test_recorded_requests_have_the_recorded_signature(signing_vector: dict[str, Any]) -> None:
    if "sign_input" not in signing_vector:
        pytest.skip("not a vector of one signed request")
    signer = Signer("k", signing_vector["secret"])
    assert signer.sign(signing_vector["sign_input"]) == signing_vector["signature"]
