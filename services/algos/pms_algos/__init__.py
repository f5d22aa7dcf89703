"""Execution algorithms and their plans."""
