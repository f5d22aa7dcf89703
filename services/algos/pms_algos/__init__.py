"""Execution algorithms and their plans.

Owns: every algo's plan, anchors, child counter and what its earlier children executed. Never talks to the exchange,
never changes an order except by asking: risk for a child, orders for an amend or a cancel of its own children. Never
takes the end of its process for a user's cancel.

    domain/actions        what a plan asks the engine to do, and the market it decides on
    domain/chase          chase: state and event → state and actions; chase_quote (ticks),
                          chase_child (the order under way), chase_price, chase_state
    app/engine            the one engine: runs plans, saves before it acts, wakes them
    app/outputs           actions → messages                    app/views       what readers are shown
    app/commands          all commands of algos                 app/updates     what the other services tell
    app/markets           prices, symbol rules, gates           app/watch       leases on symbols
    adapters/store        pms_algos.algos
"""
