"""Seeded fault schedules against the order service: `python -m tests.faults --schedules 10000 --seed 1 --workers 2`.

A schedule is a little trading life made of a seed: orders, amendments and cancels of some accounts, a market that
moves, and what goes wrong meanwhile, `kill -9` of the service at chosen points included. The service is the real one,
started by its own `wire`, with a real Redis, a real PostgreSQL and the simulator. When all is quiet, what the service
told and journalled is compared with what the simulator knows: nothing duplicate, nothing lost, nothing that never was.

    plan      a seed -> what is done and what goes wrong, and when
    haste     a clock that runs faster, for timers and time stamps alike
    nursery   forks a process for each life of the service
    life      such a process, and the points at which it kills itself
    world     Redis, database and simulator of one worker
    desk      what is asked of the service, as risk, algos and JS ask it
    stage     one schedule carried out
    hearing   what the service told
    verdict   what was told and journalled against what is true
    tally     counts of many schedules
    worker    a process that carries out one schedule after the other
    command   the command line: workers, their databases, what is shown
"""
