"""What the bus tests find in a stream."""


async def data_of(client, stream):
    """Of all entries, in order."""
    return [fields[b"data"] for _, fields in await client.xrange(stream)]
