"""Handlers: message in, domain decision, actions out."""
