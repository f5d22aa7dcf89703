"""What a reader need not be sent: an answer that it has already (ETag), and its repetitions (compression).

Owns both, for answers to GET. Never keeps an answer.
"""

from hashlib import blake2b

from aiohttp import web

from pms_gateway.door.access import Handler

SMALL = 1_024
"""Bytes that are not worth compressing."""


@web.middleware
async def spare(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The middleware."""
    answer = await handler(request)
    if request.method != "GET" or not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
        return answer
    if answer.status == 200:
        tag = blake2b(answer.body, digest_size=12).hexdigest()
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            answer = web.Response(status=304)
        answer.headers["ETag"] = f'W/"{tag}"'
        answer.headers["Cache-Control"] = "private, no-cache"
    if isinstance(answer.body, bytes) and len(answer.body) > SMALL:
        answer.enable_compression()
    return answer
