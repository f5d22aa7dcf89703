"""Market data: local order books and L1, the single price source of everything that trades.

It is the only reader of the market-data sockets and the single writer of ticks and cached prices. It never sees orders,
keys or secrets, and never calls a price good that nothing has confirmed.

    domain/book           one symbol's depth book by the venue's rule
    domain/merge          L1 out of two streams: the higher update id wins
    domain/liveness       whether a price is still the venue's, whether a stream does its work
    domain/subscriptions  leases, places on connections, control messages and their pace
    domain/budget         the feed's share of the REST weight
    app/wire              the venue's messages as typed structs
    app/frames            every frame: decode, find the market, hand on (hot)
    app/market            one symbol: its book, its L1 and what vouches for them (hot)
    app/publisher         ticks at once, cached prices at leisure
    app/watching          leases in, markets and connections out
    app/connection        one socket kept alive: subscribe, ping, reconnect
    app/resync, probe     snapshots for lost books; REST quotes against silence, halted symbols
    app/pulse             the heartbeat that starts all that does not happen per frame
    adapters/socket, rest the venue: market-data sockets, public REST

One quote's way: socket -> frames -> market (book, merge) -> publisher -> bus:ticks. A frame costs one decoding, one
look-up and a few comparisons; ticks are made once for all frames of one read of the socket.
"""
