"""The whole system as processes of one machine: what `pms up` runs.

Owns which processes run, on which ports, and that they run. Knows of a service only its name and its probes. Used by
`pms up`, `pms demo`, the benchmarks and the end-to-end tests.

- `plan`: settings and options → the services, their ports, the environment of each
- `supervisor`: starts them, restarts what dies, tells when all are ready, stops all
- `nursery`, `forking`: the process that has imported what services share, and forks them
- `servers`: the embedded Redis and PostgreSQL, where no URL is given
- `logs`: what they write, line by line, with the name of the writer
- `place`: where a system that `pms up` runs is found by the other commands
- `up`: all of it, from the command line's options to the exit code
"""
