"""Where Redis is: one URL of any supported form, read into an `Endpoint`.

    redis://[user:password@]host[:port][/db]            TCP
    rediss://…[?ssl_ca_certs=F&ssl_certfile=F&ssl_keyfile=F&ssl_cert_reqs=none&ssl_check_hostname=false]    TLS
    unix://[user:password@]/path/to.sock[?db=1]         unix socket
    redis+sentinel://[user:password@]host:port,host:port/master[/db][?sentinel_username=…&sentinel_password=…]
    redis+cluster://[user:password@]host:port,host:port    some nodes of a cluster; rediss+cluster:// with TLS's options

Owns the grammar and its errors, which name the part that is wrong and never the password. Opens nothing.
"""

import re
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.crc import key_slot

from pms_common.settings import SettingsError

SENTINEL = "redis+sentinel"
CLUSTER = "redis+cluster"
CLUSTER_TLS = "rediss+cluster"
_HASH_TAG = re.compile(r"^[^{]*\{[^}]+\}")
_TLS_OPTIONS = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
_OPTIONS = {
    "redis": {"db"},
    "rediss": {"db", *_TLS_OPTIONS},
    "unix": {"db"},
    SENTINEL: {"db", "sentinel_username", "sentinel_password"},
    CLUSTER: set[str](),
    CLUSTER_TLS: _TLS_OPTIONS,
}


class UrlError(SettingsError):
    """A Redis URL that cannot be used, with the part that is wrong."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and as whom to connect. Exactly one of `host`, `path`, `sentinels` and `nodes` is set."""

    host: str = ""
    port: int = 6379
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    tls_options: tuple[tuple[str, str], ...] = ()
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    nodes: tuple[tuple[str, int], ...] = ()
    slot: int = 0
    """Of a cluster: whose node is meant."""

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context of the options; None without TLS."""
        if not self.tls:
            return None
        options = dict(self.tls_options)
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        if options.get("ssl_check_hostname") == "false" or options.get("ssl_cert_reqs") == "none":
            context.check_hostname = False
        if options.get("ssl_cert_reqs") == "none":
            context.verify_mode = ssl.CERT_NONE
        if certificate := options.get("ssl_certfile"):
            context.load_cert_chain(certificate, options.get("ssl_keyfile"))
        return context


def parse(url: str, namespace: str = "") -> Endpoint:
    """Read a Redis URL; of a cluster, the place of the keys of `namespace`. Raises `UrlError` naming what is wrong."""
    if not url:
        raise UrlError("PMS_REDIS_URL is not set")
    parts = urlsplit(url)
    if parts.scheme not in _OPTIONS:
        raise UrlError(f"Redis URL: scheme {parts.scheme!r} is none of {', '.join(sorted(_OPTIONS))}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(options) - _OPTIONS[parts.scheme]):
        raise UrlError(f"Redis URL: unknown option {unknown[0]!r}")
    credentials, _, place = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    who: dict[str, Any] = {"username": unquote(username), "password": unquote(password)}
    if parts.scheme == "unix":
        if place or not parts.path:
            raise UrlError("Redis URL: unix:// needs an absolute path: unix:///run/redis.sock")
        return Endpoint(path=unquote(parts.path), db=_db(options.get("db", "0")), **who)
    if parts.scheme == SENTINEL:
        return _sentinel(place, parts.path, options, who)
    if parts.scheme in (CLUSTER, CLUSTER_TLS):
        return _cluster(parts, place, options, who, namespace)
    return _tcp(parts, options, who)


def _tcp(parts: SplitResult, options: dict[str, str], who: dict[str, Any]) -> Endpoint:
    try:
        host, port = parts.hostname or "localhost", parts.port
    except ValueError as error:
        raise UrlError(f"Redis URL: port: {error}") from None
    path_db = parts.path.strip("/")
    if path_db and "db" in options:
        raise UrlError("Redis URL: db is given twice")
    return Endpoint(
        host=host,
        port=6379 if port is None else port,
        db=_db(path_db or options.get("db", "0")),
        tls=parts.scheme == "rediss",
        tls_options=_tls_options(options),
        **who,
    )


def _tls_options(options: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in options.items() if k in _TLS_OPTIONS))


def _sentinel(place: str, path: str, options: dict[str, str], who: dict[str, Any]) -> Endpoint:
    names = path.strip("/").split("/")
    if not names[0] or len(names) > 2:
        raise UrlError(f"Redis URL: {SENTINEL}:// needs the master's name: …/mymaster or …/mymaster/0")
    return Endpoint(
        sentinels=tuple(_address(item, 26379, "sentinel") for item in place.split(",")),
        master=unquote(names[0]),
        db=_db(names[1] if len(names) == 2 else options.get("db", "0")),
        sentinel_username=options.get("sentinel_username", ""),
        sentinel_password=options.get("sentinel_password", ""),
        **who,
    )


def _cluster(parts: SplitResult, place: str, options: dict[str, str], who: dict[str, Any], namespace: str) -> Endpoint:
    if parts.path.strip("/"):
        raise UrlError(f"Redis URL: {parts.scheme}:// has no db: a cluster keeps all keys in one")
    if not _HASH_TAG.search(namespace):
        raise UrlError(f"namespace {namespace!r}: in a Redis Cluster it needs a hash tag, such as {{acct1}}pms")
    return Endpoint(
        nodes=tuple(_address(item, 6379, "node") for item in place.split(",")),
        slot=key_slot(namespace.encode()),
        tls=parts.scheme == CLUSTER_TLS,
        tls_options=_tls_options(options),
        **who,
    )


def _address(text: str, port_by_default: int, what: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, str(port_by_default)
    if not host or not port.isdigit():
        raise UrlError(f"Redis URL: {what} {text!r} is not host:port")
    return host.strip("[]"), int(port)


def _db(text: str) -> int:
    if not text.isdigit():
        raise UrlError(f"Redis URL: db {text!r} is not a number")
    return int(text)
