"""One module a family of routes; each is a table of (name, operation, security, weight, handler).

A handler is ``(venue, request) -> answer``; it parses parameters, asks the engine, and shapes the answer.
"""
