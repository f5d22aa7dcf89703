"""Where the market's own moves come from: a seeded walk or a recorded capture. Pure; the clock is given."""
