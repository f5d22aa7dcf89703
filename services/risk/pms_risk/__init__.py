"""Risk: virtual accounts, their positions, balances, margin, reservations, trading states and ledger.

Owns: every virtual account and the house; who may trade what; the booking of every execution, once; all public events
of orders and positions. The single writer of the schema `pms_risk` and of `pms:risk:*`.
Never: talks to the exchange, changes an order except by asking the order service, waits for the database before it
decides.

    domain     pure decisions and bookkeeping
      position execution holding account   what one account has, and what its live orders may come to need
      ledger house books reconciliation    cash with causes, the pool's books, and whether they equal the exchange
      booking fills moves orders           plain facts: a deal booked, keys seen, who got what lately, live orders
      forced funding cashflows fees shares whose the exchange's own doings are: forced closes, payments, commissions
      takeover assignment                  positions that go to the house, and executions that come from it
      rules gates activity                 limits, states, and what an account did lately
      plan reserve closing barriers validator   a wish, put to the rules, split, reserved; who gives way to a close
      administration                       what the JS application changes in its tables, and how it is read
      math prices snapshot                 formulas, marks, what is shown
      maintenance evaluation liquidation   maintenance margin, where an account stands, whom to liquidate and how
      pool                                 the margin of the exchange account behind all of them
    app        handlers: message in → domain → outbox and journal (its map: `pms_risk.app`)
    adapters   PostgreSQL, and what lies unacknowledged in Redis
    main       wiring
"""
