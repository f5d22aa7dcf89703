"""The HTTP and WebSocket door: routes, who may use them, the page. Decides nothing about trading."""
