"""A stand-in exchange speaking the wire protocol of USD-M futures."""
