"""`pms demo`: the main job once, on a simulated exchange, with the books compared at the end.

run      starts a system of its own, plays the session, shows it, compares, ends
session  what the two accounts do
screen   what is shown while they do it, and the summary at the end
"""
