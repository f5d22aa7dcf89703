"""What every PMS service shares: contracts, bus, settings, logging, metrics, lifecycle."""
