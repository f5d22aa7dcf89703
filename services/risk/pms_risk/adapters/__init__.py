"""What risk reaches outside the bus: its tables (`postgres`), and what lies unacknowledged in Redis (`unconsumed`)."""
