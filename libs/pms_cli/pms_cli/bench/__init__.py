"""Benchmarks: each measures one path of the product against a named reference, interleaved in one run.

Owns the measuring; never runs in a service. Absolute times on a shared machine mean nothing, so every result carries
its ratio to the reference of the same round.

    result       what a benchmark is given and what it tells
    reference    the floor: chains of stream hops in plain C (blocking Python where there is no compiler)
    hop          one hop through `pms_common.bus`; hop_peer is its other process
"""
