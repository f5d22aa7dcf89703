"""The reference of docs/reference and the JS client's types, from the classes: `python -m pms_cli.reference [--check]`.

Owns their form, and the meaning of each setting. Never states a fact that a class states. Used by `make docs` and, to
find tables that are behind the code, by `make check`.

pages     which page is rendered by what; written or compared
markdown  tables and cells             types     how a Python type reads on the wire
structs   a message class as a table   rules     how a command field's rule reads
imports   which modules a service loads
commands  results  events  errors  settings  streams  metrics   one page each
documents  JSON Schema, AsyncAPI        typescript  the JS client's types
"""
