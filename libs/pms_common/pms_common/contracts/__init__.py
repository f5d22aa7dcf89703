"""Messages: what travels to and from JS (public, camelCase JSON) and between services (`bus`).

Imports nothing but the standard library and msgspec, so that domain code may use all of it.

    base      form of public messages, shared vocabularies, `encode`
    errors    the one table of error codes, `CommandError`, `NotJson`
    commands  public commands, one family a file, and their registry
    parse     bytes or flat fields → a checked command, or a refusal that names each field
    rules     what the value of one field may be          shapes  how an object's fields are read
    symbols   any spelling of a symbol → the exchange's
    results   answers to commands                         events  what happened, one family a file
    caches    values of the keys that JS reads            bus     messages between the services
    schema    JSON Schema of all that is public
"""

from pms_common.contracts.base import CONTRACT_VERSION

__all__ = ["CONTRACT_VERSION"]
