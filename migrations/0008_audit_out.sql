-- The audit log leaves the store: as lines into a file, and, where that is asked for, for good after 400 days at the earliest.

-- First of all, since it keeps new entries out until the end.
CREATE INDEX audit_at ON opendts.audit (at);

-- Entries that were not yet written out. An entry becomes visible when it commits, and numbers do not commit in their order:
-- a position among them would pass some by.
CREATE TABLE opendts.audit_unsent (
  audit_id bigint PRIMARY KEY REFERENCES opendts.audit ON DELETE CASCADE
);
INSERT INTO opendts.audit_unsent SELECT a.id FROM opendts.audit a;

-- Also for what an older node writes.
CREATE FUNCTION opendts.audit_to_send() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO opendts.audit_unsent SELECT a.id FROM added a;
  RETURN NULL;
END
$$;
CREATE TRIGGER audit_to_send AFTER INSERT ON opendts.audit
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION opendts.audit_to_send();

-- What is deleted is older than 400 days, and older than an entry says that was made for it in the same transaction.
CREATE FUNCTION opendts.check_pruning() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  allowed timestamp with time zone;
BEGIN
  SELECT LEAST((e.after ->> 'before')::timestamp with time zone, now() - interval '400 days') INTO allowed
    FROM opendts.audit e
   WHERE e.at >= now() AND e.operation = 'audit.prune' AND e.outcome = 'done'
     AND e.xmin::text::bigint = (txid_current() & 4294967295);
  IF EXISTS (SELECT FROM gone g WHERE allowed IS NULL OR g.at >= allowed) THEN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END
$$;
DROP TRIGGER audit_append_only ON opendts.audit;
CREATE TRIGGER audit_append_only BEFORE UPDATE ON opendts.audit
  FOR EACH ROW EXECUTE FUNCTION opendts.refuse_change();
CREATE TRIGGER audit_pruned AFTER DELETE ON opendts.audit
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION opendts.check_pruning();
ALTER TABLE opendts.audit ENABLE ALWAYS TRIGGER audit_to_send;
ALTER TABLE opendts.audit ENABLE ALWAYS TRIGGER audit_append_only;
ALTER TABLE opendts.audit ENABLE ALWAYS TRIGGER audit_pruned;
