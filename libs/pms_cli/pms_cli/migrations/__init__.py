"""The database's schema, in Alembic revisions.

`0001` makes the schemas and what the writers' epochs need. Each service has a branch of its own on it
(`0002_orders.py`, `0003_risk.py`, …: `down_revision = "0001"`), so that a service's tables change without the others'.
"""
