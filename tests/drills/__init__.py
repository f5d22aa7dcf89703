"""Failure and upgrade drills of a whole cell under traffic: `python -m tests.drills [NAME …]`, which is `make drills`.

A drill starts a cell of its own (Redis, PostgreSQL, the simulated exchange, every service as a process), has accounts
trade at a steady pace, breaks or replaces something meanwhile, and prints what that cost. Whatever it does, the same
must be true afterwards: every command was answered, each accepted one is exactly one order at the exchange, every
execution one event, `seq` has no hole, and the books equal the exchange.

    cell       servers and processes, each started, stopped and killed on its own
    traffic    a backend that trades, repeats what it got no answer to, and notes how long everything took
    clock      the services' wall clock, moved for all of them at once
    processes  drills of our processes: upgrade, takeover, clock, the cell on another machine
    servers    drills of what we depend on: Redis, PostgreSQL, a full disk, the exchange
    command    the command line
"""
