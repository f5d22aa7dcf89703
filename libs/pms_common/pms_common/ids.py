"""Deterministic identifiers: the same input gives the same id, so a redelivery can never make a second order.

Owns the form of client order ids and event keys. Never asks a clock or a random source.
Used by risk and algos (they name the orders) and by everyone who reads an id.
"""

import base64
import hashlib
import re
from functools import lru_cache

_UNSAFE = re.compile(r"[^.A-Z:/a-z0-9-]")
_TOKEN_BYTES, _TOKEN_CHARS = 14, 19  # 112 bits: PMS_ + 8 + _ + 3 + _ + 19 = 36, the venue's limit
ORDER_TYPES = {"MARKET": "MKT", "LIMIT": "LMT"}


def token(*parts: str | int) -> str:
    """A 112-bit hash of the parts, 19 characters of `[A-Za-z0-9_-]`."""
    text = "\x1f".join(map(str, parts)).encode()
    digest = hashlib.blake2b(text, digest_size=_TOKEN_BYTES, person=b"pms-client-id").digest()
    return base64.urlsafe_b64encode(digest)[:_TOKEN_CHARS].decode()


def client_order_id(
    namespace: str, account_id: str, kind: str, request_id: str, child: int = 0, attempt: int = 0
) -> str:
    """`PMS_{account[:8]}_{kind}_{token}`, at most 36 characters of the venue's `[.A-Z:/a-z0-9_-]`.

    `kind` is three letters (MKT, LMT, CHS, …). The prefix is a hint for people; two accounts may share it and
    ownership is resolved through the order service's index.
    """
    return f"PMS_{_prefix(account_id[:8])}_{kind[:3]}_{token(namespace, account_id, request_id, child, attempt)}"


@lru_cache(maxsize=4096)
def _prefix(text: str) -> str:
    return _UNSAFE.sub("-", text)


def object_id(prefix: str, namespace: str, account_id: str, request_id: str) -> str:
    """Id of an algo or a position, e.g. `chase_…`: derived from the request that created it."""
    return f"{prefix}_{token(namespace, account_id, request_id, prefix)}"
