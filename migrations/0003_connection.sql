-- Saved endpoints. A secret is sealed here, or lives in a file or variable of the server and is only named here.

CREATE TABLE opendts.connection (
  id uuid PRIMARY KEY,
  group_id uuid NOT NULL REFERENCES opendts.resource_group,
  name text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  -- A URI without a password.
  conninfo text NOT NULL,
  instance_id text,
  region text,
  access_method text,
  secret_kind text NOT NULL CHECK (secret_kind IN ('none', 'sealed', 'file', 'env')),
  -- `sealed`: which key, and nonce, tag and ciphertext as base64.
  sealed_key_id text,
  sealed text,
  -- `file`, `env`: the path or the name.
  secret_reference text,
  version integer NOT NULL DEFAULT 1,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  UNIQUE (group_id, name),
  CONSTRAINT connection_sealed CHECK ((secret_kind = 'sealed') = (sealed IS NOT NULL)),
  CONSTRAINT connection_sealed_key CHECK ((sealed IS NULL) = (sealed_key_id IS NULL)),
  CONSTRAINT connection_referred CHECK ((secret_kind IN ('file', 'env')) = (secret_reference IS NOT NULL))
);
