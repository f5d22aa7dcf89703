"""Who may come in: bearer tokens with roles.

The file has one token a line: `<name> <role> sha256:<hex>`; `#` begins a comment. A token as it is, in place of its
hash, is taken too, and complained of: whoever reads the file may use it. It is read again when it changes, so tokens
are given and taken back without a restart. Owns the comparison, which takes the same time for every token. Never keeps
or logs a token itself.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from pms_common.logging import get_logger
from pms_common.settings import SettingsError

log = get_logger(__name__)

HASH_IT = "store `sha256:` and what `printf %s TOKEN | sha256sum` prints"
LOOK_S = 1.0
"""Between two looks at the file."""


class Role(IntEnum):
    """What a token allows; each role includes those before it."""

    READ = 1
    TRADE = 2
    OPERATOR = 3


class TokenFileError(SettingsError):
    """The token file cannot be used; the message names the line."""


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file."""

    name: str
    role: Role
    digest: bytes
    plain: bool = False
    """Whether it stands in the file as it is."""


ANYONE = Token("anyone", Role.OPERATOR, b"")
"""Whoever comes where there are no tokens (demo, loopback only)."""


class Tokens:
    """All tokens; without any, everyone is an operator."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens

    @property
    def required(self) -> bool:
        """Whether a token is needed at all."""
        return bool(self._tokens)

    @property
    def plain(self) -> list[str]:
        """Names of those that stand in the file as they are."""
        return [token.name for token in self._tokens if token.plain]

    def find(self, presented: str) -> Token | None:
        """The token that was presented; None for one nobody has."""
        if not self._tokens:
            return ANYONE
        digest = hashlib.sha256(presented.encode()).digest()
        found: Token | None = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found

    def __contains__(self, token: Token) -> bool:
        """Whether it is still one of them, with the same role."""
        return token in self._tokens if self._tokens else token is ANYONE


class TokenFile:
    """The tokens of a file as it is now, looked at once a second at most. A file that is no good changes nothing."""

    def __init__(self, path: Path | None, now_s: Callable[[], float] = time.monotonic) -> None:
        self._path, self._now_s = path, now_s
        self._tokens, self._seen = load_tokens(path), _version(path)
        self._looked_s = now_s()
        self._complain()

    def __call__(self) -> Tokens:
        """The tokens."""
        if self._path is not None and self._now_s() - self._looked_s >= LOOK_S:
            self._looked_s = self._now_s()
            version = _version(self._path)
            if version != self._seen:
                self._seen = version
                self._read_again()
        return self._tokens

    def _read_again(self) -> None:
        try:
            self._tokens = load_tokens(self._path)
        except TokenFileError as error:
            log.error("tokens_not_read", why=str(error), kept="those before")
        else:
            log.info("tokens_read")
            self._complain()

    def _complain(self) -> None:
        if plain := self._tokens.plain:
            log.warning("tokens_in_plain_text", file=str(self._path), of=plain, advice=HASH_IT)


def _version(path: Path | None) -> tuple[int, ...]:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        found = None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else ()


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
        return Token(name, Role[role.upper()], hashlib.sha256(secret.encode()).digest(), plain=True)
    try:
        raw = bytes.fromhex(digest)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise TokenFileError(f"line {at}: sha256: wants 64 hexadecimal digits")
    return Token(name, Role[role.upper()], raw)
