"""Liquidation, as pure decisions.

decision   facts → what is to be done: warn, reduce the largest position, close or take over everything
watch      when a decision is acted on: it must hold, is not repeated, and cools down
course     one liquidation under way: what of each position is still to be closed, and the next order
courses    all of them
screen     floats: which accounts a moved price can have brought near a limit at all
"""
