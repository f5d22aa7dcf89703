"""Who may come in: bearer tokens with roles.

The file has one token a line: `<name> <role> <token>`, the token as it is or as `sha256:<hex>` of it; `#` begins a
comment. Owns the comparison, which takes the same time for every token. Never keeps or logs a token itself.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class Role(IntEnum):
    """What a token allows; each role includes those before it."""

    READ = 1
    TRADE = 2
    OPERATOR = 3


class TokenFileError(Exception):
    """The token file cannot be used; the message names the line."""


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file."""

    name: str
    role: Role
    digest: bytes


class Tokens:
    """All tokens; without any, everyone is an operator (demo, loopback only)."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens

    @property
    def required(self) -> bool:
        """Whether a token is needed at all."""
        return bool(self._tokens)

    def role_of(self, presented: str) -> Role | None:
        """The role of a token; None for one nobody has."""
        if not self._tokens:
            return Role.OPERATOR
        digest = hashlib.sha256(presented.encode()).digest()
        found: Role | None = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token.role
        return found


def load_tokens(path: Path | None) -> Tokens:
    """Read the token file; None gives no tokens. Raises TokenFileError."""
    if path is None:
        return Tokens(())
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TokenFileError(f"{path} cannot be read: {error.strerror}") from None
    tokens = tuple(_token(line, at) for at, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#")
    if not tokens:
        raise TokenFileError(f"{path} has no token")
    return Tokens(tokens)


def _token(line: str, at: int) -> Token:
    words = line.split()
    if len(words) != 3 or words[1].upper() not in Role.__members__:
        raise TokenFileError(f"line {at}: expected `<name> <read|trade|operator> <token>`")
    name, role, secret = words
    kind, _, digest = secret.partition(":")
    if kind != "sha256":
        return Token(name, Role[role.upper()], hashlib.sha256(secret.encode()).digest())
    try:
        raw = bytes.fromhex(digest)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise TokenFileError(f"line {at}: sha256: wants 64 hexadecimal digits")
    return Token(name, Role[role.upper()], raw)
