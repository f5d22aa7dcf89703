"""Virtual accounts: positions, balances, margin, reservations."""
