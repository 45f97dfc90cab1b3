-- What a create with an Idempotency-Key has answered, for the same request sent again.

CREATE TABLE opendts.idempotency (
  account_id uuid NOT NULL REFERENCES opendts.account ON DELETE CASCADE,
  key text NOT NULL,
  operation text NOT NULL,
  -- Keyed, since the request may hold a secret.
  request_digest text NOT NULL,
  response jsonb,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  PRIMARY KEY (account_id, key)
);
