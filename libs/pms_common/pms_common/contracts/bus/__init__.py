"""Messages between services, one family a file; `streams` tells which travel where.

These are internal: they may change with any release, unlike the public contract beside this package.
"""
