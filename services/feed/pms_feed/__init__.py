"""Market data: local order books and L1."""
