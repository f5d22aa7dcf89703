"""Pre-trade rules: one rule a file, and the lists in which they are asked.

    trial       the order with its facts, and the values computed from them
    registry    which rules there are, in their order; `validate`
    one file a rule: account_exists sound_numbers account_active liquidating trading_state symbol_frozen reducible price
    (these end the check at once); leverage notional exposure margin usage allowed_symbol open_orders daily_loss
    order_rate (new risk only; all that fail are told); symbol_status quantity limit_price min_notional (the symbol's
    filters, for every order)

Rules only look. They never change an account, and never know where an order came from.
"""
