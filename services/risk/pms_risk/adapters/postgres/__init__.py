"""Risk's tables in PostgreSQL (schema `pms_risk`): `statements` and `journal` write them, `store` reads them."""
