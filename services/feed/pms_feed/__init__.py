"""Market data: local order books and L1, the single price source of everything that trades.

It is the only reader of the market-data sockets and the single writer of ticks and cached prices. It never sees orders,
keys or secrets, and never calls a price good that nothing has confirmed.

    domain/book           one symbol's depth book by the venue's rule
    domain/merge          L1 out of two streams: the higher update id wins
    domain/liveness       whether a price is still the venue's, whether a stream does its work
    domain/shares         which of several feeds carries and tells which symbol
    domain/subscriptions  leases, places on connections, control messages and their pace
    domain/budget         the feed's share of the REST weight
    app/wire              the venue's messages as typed structs
    app/frames            every frame: find the market, hand on (hot)
    app/market            one symbol: its book, its L1 and what vouches for them (hot)
    app/publisher         ticks at once, cached prices at leisure
    app/watching          leases and this feed's share in, markets and connections out
    app/sharing           this feed's place among the feeds, renewed
    app/connection        one connection kept alive: reconnect, and replace its socket before the venue ends it
    app/session           one socket: subscribe, ping
    app/marks             the exchange's mark prices, where somebody compares prices with them
    app/resync, probe     snapshots for lost books; REST quotes against silence, halted symbols
    app/pulse             the heartbeat that starts all that does not happen per frame
    adapters/socket, rest the venue: market-data sockets, public REST
    adapters/members      the records of the feeds in Redis
    adapters/watch_stream the stream of leases: read by every feed, kept by one

One quote's way: socket -> frames -> market -> publisher -> bus:ticks. A frame costs one look-up and a few comparisons;
it is decoded and merged when its tick is written, once for all frames since the last write. docs/feed.md tells an
operator what the feed does.
"""
