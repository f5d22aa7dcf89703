"""Client frames of several requests as one write.

picows writes each frame with a system call of its own; several requests of one turn of the loop leave in one write when
they are framed here. Source: RFC 6455, 5.2 and 5.3. Used by the trading socket.
"""

import secrets

_TEXT_FINAL = 0x81
_MASKED = 0x80


def client_frame(payload: bytes, mask: bytes | None = None) -> bytes:
    """A final, masked text frame. `mask` is four bytes, random where not given."""
    size = len(payload)
    if size < 126:
        head = bytes((_TEXT_FINAL, _MASKED | size))
    elif size < 65_536:
        head = bytes((_TEXT_FINAL, _MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((_TEXT_FINAL, _MASKED | 127)) + size.to_bytes(8, "big")
    key = mask or secrets.token_bytes(4)
    stream = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return head + key + masked.to_bytes(size, "big")
