-- Who did what. Names are copied, so that an entry outlives what it speaks of.

CREATE TABLE opendts.audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  account_id uuid,
  account_name text,
  via text NOT NULL,
  address text NOT NULL,
  request_id text NOT NULL,
  operation text NOT NULL,
  group_id uuid,
  group_name text,
  object_id text,
  object_name text,
  outcome text NOT NULL CHECK (outcome IN ('done', 'failed')),
  error_code text,
  before jsonb,
  after jsonb
);
CREATE INDEX audit_group ON opendts.audit (group_id, id);

CREATE FUNCTION opendts.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON opendts.audit
  FOR EACH ROW EXECUTE FUNCTION opendts.refuse_change();
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON opendts.audit
  FOR EACH STATEMENT EXECUTE FUNCTION opendts.refuse_change();
-- Also for a session that has turned ordinary triggers off.
ALTER TABLE opendts.audit ENABLE ALWAYS TRIGGER audit_append_only;
ALTER TABLE opendts.audit ENABLE ALWAYS TRIGGER audit_not_emptied;
