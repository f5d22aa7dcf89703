"""Execution algorithms and their plans.

Owns: every algo's plan, anchors, child counter and what its earlier children executed. Never talks to the exchange,
never changes an order except by asking: risk for a child, orders for an amend or a cancel of its own children. Never
takes the end of its process for a user's cancel.

    domain/events         what happens to a plan            domain/actions      what it asks the engine to do
    domain/chase          chase: state and event → state and actions; chase_quote (ticks),
                          chase_child (the order under way), chase_price, chase_state
    domain/state          what all states have          domain/pauses       who holds a plan back
    domain/times          points of time in them        app/clock           steps of the wall clock
    domain/parts          plans that are made of chases; those are:
    domain/twap           twap_lot, twap_schedule, twap_state; twap_basket: several with one schedule
    domain/trail_stop     follows the price, then closes the position
    domain/scalper        scalper_guards, scalper_geometry, scalper_fills, scalper_close, scalper_state
    app/kinds             the table of algos: how each begins, what readers are shown
    app/engine            the one engine: runs plans, saves before it acts, wakes them; app/running: its indices
    app/children          what is said of children          app/controls        who holds algos back, or ends them
    app/outputs           actions → messages                app/updates         what the other services tell
    app/commands          start, cancel, pause, resume of every kind, and their limits
    app/markets           prices, symbol rules, gates       app/accounts        positions, snapshots
    app/tape              prices missed while down
    app/watch             leases on symbols                 adapters/store      pms_algos.algos
"""
