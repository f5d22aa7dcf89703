"""Pure decisions and bookkeeping: no I/O, no clock; times, ids and prices are given by the caller."""
