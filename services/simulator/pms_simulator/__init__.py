"""A stand-in exchange speaking the wire protocol of USD-M futures.

Owns a venue of its own: books with price-time matching, accounts, margin, fees, user and market streams, rate
limits, faults. Clients nobody here wrote (the exchange's SDK, ccxt, python-binance) work against it unchanged.
Never talks to a real exchange, is never reachable in live mode, and knows nothing of virtual accounts or Redis.

Map:

- ``main``            wiring; ``start(config)`` for tests and benchmarks, ``wire(life)`` as a service
- ``settings``        what can be set
- ``domain``          pure decisions, the clock is given
    - ``symbols units catalog brackets``  what is listed, exact scaled integers, the built-in symbols, tiers
    - ``orders book matching``            records, queues with background liquidity in them, who trades with whom
    - ``intake filters admission amendment``  from parameters to an accepted order, and every refusal
    - ``positions account liquidation``   money, pooled entry, margin
    - ``engine state events``             what happens in which order, and the events it sends
    - ``closers forced funding``          what the venue does unasked: shrink, liquidate, settle
    - ``history``                         how accounts looked a while ago, for queries that lag
    - ``signing limits errors``           who may ask, how often, and the venue's words of refusal
    - ``faults``                          what can be made to go wrong, one kind a file
    - ``market``                          where the market's own moves come from: seeded walk, recording
- ``app``             requests and time to decisions
    - ``dispatch request router routes``  the one way through for REST and WebSocket API, and the handlers
    - ``venue keys views``                the shared state, API keys, the shape of answers
    - ``market_streams user_streams disturbance``  who reads what, encoded once; faults on the way out
    - ``market_driver``                   the loops in time
    - ``control fault_control stage``     the /sim/ routes, and what actions may do to the venue
- ``adapters``        sockets and files: one port for REST (aiohttp) and WebSockets (picows), captures, Vision zips

Limits accepted: USDT margin only; margin type ISOLATED is kept and shown, margin is drawn from the cross wallet;
conditional orders are refused with -4120 and the algo service that takes them at the venue is not there; funding is
settled when a control route says so. Routes and faults: docs/simulator.md.
"""
