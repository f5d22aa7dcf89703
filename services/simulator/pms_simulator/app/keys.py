"""API keys: what verifies a signature made with them. HMAC-SHA256 secrets, RSA and Ed25519 keys in PEM.

Owns the asymmetric kinds (PKCS#1 v1.5 with SHA-256, Ed25519; both base64); HMAC is ``domain.signing``'s. Of a key pair
the public half is enough, the private one is accepted too.
"""

import binascii
from base64 import b64decode
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from pms_simulator.domain.account import Account
from pms_simulator.domain.signing import HmacSecret, Verifier

PEM = "-----BEGIN "


@dataclass(frozen=True, slots=True)
class Key:
    """What an API key opens. ``address``: what its weight is counted under, "" for the client's own address."""

    name: str
    verifier: Verifier
    account: Account
    address: str = ""


class Ed25519Key:
    """An Ed25519 public key."""

    kind = "ed25519"

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    def verify(self, payload: str, signature: str) -> bool:
        """Whether ``signature`` (base64) is of ``payload``."""
        try:
            self._key.verify(b64decode(signature, validate=True), payload.encode())
        except (InvalidSignature, binascii.Error):
            return False
        return True


class RsaKey:
    """An RSA public key."""

    kind = "rsa"

    def __init__(self, key: RSAPublicKey) -> None:
        self._key = key

    def verify(self, payload: str, signature: str) -> bool:
        """Whether ``signature`` (base64) is of ``payload``."""
        try:
            self._key.verify(b64decode(signature, validate=True), payload.encode(), PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, binascii.Error):
            return False
        return True


def read_verifier(secret: str) -> Verifier:
    """The verifier of an HMAC secret or a PEM key; ValueError for a PEM of another kind."""
    if not secret.startswith(PEM):
        return HmacSecret(secret)
    data = secret.encode()
    try:
        key = load_pem_private_key(data, None) if "PRIVATE KEY" in secret else load_pem_public_key(data)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    public = key.public_key() if isinstance(key, Ed25519PrivateKey | RSAPrivateKey) else key
    if isinstance(public, Ed25519PublicKey):
        return Ed25519Key(public)
    if isinstance(public, RSAPublicKey):
        return RsaKey(public)
    raise ValueError("neither an RSA nor an Ed25519 key")
