"""JSON Schema of the public messages, from their classes: what JS may send, and what it is sent.

messages  what we write: results, events, caches, as msgspec encodes them
commands  what is read: commands, as their rules take them
contract  all of it, by name

Used by the reference documents (AsyncAPI, JSON Schema, TypeScript) and by the gateway's OpenAPI. Draft 2020-12, and of
it only what draft 7 has too, so that AsyncAPI takes it.
"""

from pms_common.contracts.schema.contract import ALGO_ITEMS, command_name, contract
from pms_common.contracts.schema.messages import Schema, doc, explained

__all__ = ["ALGO_ITEMS", "Schema", "command_name", "contract", "doc", "explained"]
