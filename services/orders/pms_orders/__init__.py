"""Every order's state, the user stream and the trading API."""
