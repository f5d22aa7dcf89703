"""The venue's rate limits, counted before sending and shared by every process on one IP address.

window    one sliding count, pure: used by domain code too
shared    the counts and bans of an address in Redis
"""
