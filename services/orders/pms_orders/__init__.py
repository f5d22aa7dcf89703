"""The order service: every order's state, the user stream, the trading API, the rate budget, exchange truth.

It is the single writer of every order's state and the only process that trades. It never decides about margin, and
never sends an order twice: an unknown outcome is asked for under its client order id.

    main, exchange      wiring; of what speaks with the exchange

    domain/order        one order as we know it, and its next step
    domain/table        every (happening, state) pair
    domain/reducer      an order and a happening -> the order after it, and what follows
    domain/replacement  the order that follows one which cannot be amended
    domain/resolution   when an unclear order is asked for, and what an answer proves
    domain/errors       what each error code of the venue means for the request
    domain/reconciliation, foreign, configuration
                        the exchange's objects beside ours; whose an order is; how the account has to be set
    domain/history      what the journal keeps of an order, and the order that follows from it
    domain/lanes, rate, slots
                        who goes first; the venue's limits, with a reserve for cancels; who may have how many open
    domain/dead_man     which countdowns the exchange is to run
    domain/filters, resting, gates, tracker
                        what may not be sent; who would meet whom; trading states; every order by every name
    app/manager         the one place where orders change (OrderManager)
    app/amendments, expectations, watchers
                        what it waits for: outcomes of amendments, words of the exchange, who waits for an end
    app/sender          lanes -> checks -> signature -> one write
    app/outcomes        answers and losses of trading requests
    app/resolver, reconciler, session
                        asking for single orders; for all of them after a gap; hearing the user stream
    app/foreign, owners, fundings, configuration
                        what others do on the account; who owns an id; funding rates; the watch over the settings
    app/publisher, snapshots, retelling, account, readiness
                        what is told to others, and told again
    app/missing         the alarm about executions that the exchange does not list
    app/told            what the last writer told and did not live to journal
    app/intake, cancels bus handlers: work and operators; the public commands
    app/supervision     is anybody judging what is sent? the look at risk's lease
    app/startup, rules  what has to be known before work begins; the venue's rules, read again later
    app/standby, dead_man
                        what is heard before this process leads; the exchange cancels what nobody watches any more
    adapters/binance    the venue: transport (trading socket, else trading REST), queries, user stream, signatures, JSON
    adapters/journal    PostgreSQL: what happened, written off the hot path
    adapters/pending_orders
                        PostgreSQL: the table that the JS application reads
    adapters/recall, replay
                        PostgreSQL: what is read back, at a start, to tell it again, and to check the books
    adapters/retention  PostgreSQL: what is old is removed; adapters/months: the partitions of what happened

One order's way: intake -> manager.place -> sender (lane, budget, gate, signature) -> trading socket; the answer comes
back through outcomes, the feed through session; both end in manager.follow, which publishes, journals, answers and
queues the next step.
"""
