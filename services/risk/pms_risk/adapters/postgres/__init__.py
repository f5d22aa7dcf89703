"""Risk's tables in PostgreSQL (schema `pms_risk`): `statements` and `journal` write them, `store` reads them; and those
of the JS application: `shared_writes` are projections of the journal (`left_out` tries again what they did not take),
`shared_accounts` compares both sides."""
