-- A database role for each service, with only its own tables (docs/adr/0001-schema-per-service.md).
--
-- Run it after `pms migrate`, as the role that migrates, and again after each migration; then give each role a password
-- (ALTER ROLE pms_risk PASSWORD '…') and each service a PMS_DATABASE_URL with its role. The feed needs none.

DO $$
DECLARE
  service text;
BEGIN
  FOREACH service IN ARRAY ARRAY['orders', 'risk', 'algos', 'gateway'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I LOGIN', 'pms_' || service);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
    -- Services give up a statement after 30 s themselves; this ends those of a process that cannot any more.
    EXECUTE format('ALTER ROLE %I SET statement_timeout = ''60s''', 'pms_' || service);
    EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''60s''', 'pms_' || service);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO %1$I', 'pms_' || service);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %1$I', 'pms_' || service);
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %1$I', 'pms_' || service);
    EXECUTE format('GRANT USAGE ON SCHEMA pms_meta, public TO %I', 'pms_' || service);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON pms_meta.epochs TO %I', 'pms_' || service);
  END LOOP;
END $$;

-- The fence between writers: each service raises its own epoch and nobody else's.
ALTER TABLE pms_meta.epochs ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own ON pms_meta.epochs;
CREATE POLICY own ON pms_meta.epochs USING (current_user = 'pms_' || service);

-- The tables shared with the JS application.
GRANT SELECT, INSERT, UPDATE ON sub_accounts, risk_rules, virtual_positions, trade_executions, balance_logs TO pms_risk;
GRANT SELECT, INSERT, UPDATE ON pending_orders TO pms_orders;
-- Orders writes rows of accounts that are there, and holds those from being deleted meanwhile: PostgreSQL lets only
-- those lock a row who may update some column of it.
GRANT SELECT (id), UPDATE (updated_at) ON sub_accounts TO pms_orders;
