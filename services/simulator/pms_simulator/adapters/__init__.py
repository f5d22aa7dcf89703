"""Redis, PostgreSQL and the exchange."""
