"""The HTTP/WebSocket door and the public event log."""
