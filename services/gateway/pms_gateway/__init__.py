"""The HTTP/WebSocket door and the public event log.

Owns: `seq`, `eventId` and `epoch` of every public event, the log `pms:events` with its fan-out, the read model behind
the GET routes. Never holds trading state: what it shows comes from the updates streams and snapshots, and may be
thrown away. Never decides a command: it passes it to its owner's stream and waits for the result.

    domain/sequencer     seq, event id and repeats              domain/read_model   accounts, orders, positions, algos
    app/updates          the three updates streams in           app/event_log       one MULTI an event; epoch; retention
    app/hub              live events for sockets                app/waiters         callers waiting for a result
    adapters/cursors     durable cursors (PostgreSQL)           adapters/log_store  the log in Redis, off the hot path
    domain/allowance     requests a token may send
    door/                routes, tokens, the page; histories, which are asked for from their owners; access (the guard),
                         audit (operators' actions), openapi, caching (ETag, compression)
"""
