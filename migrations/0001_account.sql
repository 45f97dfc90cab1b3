-- People, their sessions and tokens, and the resource groups they work in.

CREATE TABLE opendts.account (
  id uuid PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  -- scrypt with its parameters; null for an account that does not log in with a password.
  password_hash text,
  must_change_password boolean NOT NULL,
  -- Of the installation: accounts, groups and the whole audit log.
  is_administrator boolean NOT NULL,
  is_disabled boolean NOT NULL DEFAULT false,
  version integer NOT NULL DEFAULT 1,
  created_at timestamp with time zone NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX account_name ON opendts.account (lower(name));

CREATE TABLE opendts.login_session (
  token_hash text PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES opendts.account ON DELETE CASCADE,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  expires_at timestamp with time zone NOT NULL
);
CREATE INDEX login_session_account ON opendts.login_session (account_id);

CREATE TABLE opendts.api_token (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES opendts.account ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  -- The beginning of the token, by which its owner knows it again.
  prefix text NOT NULL,
  token_hash text NOT NULL UNIQUE,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  expires_at timestamp with time zone NOT NULL,
  revoked_at timestamp with time zone,
  UNIQUE (account_id, name)
);

-- Failed logins by account name and by address; shared by all nodes.
CREATE TABLE opendts.login_attempt (
  subject text PRIMARY KEY,
  attempts integer NOT NULL,
  first_at timestamp with time zone NOT NULL
);

CREATE TABLE opendts.resource_group (
  id uuid PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  created_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE opendts.membership (
  group_id uuid NOT NULL REFERENCES opendts.resource_group,
  account_id uuid NOT NULL REFERENCES opendts.account ON DELETE CASCADE,
  role text NOT NULL CHECK (role IN ('viewer', 'operator', 'migrator', 'switcher', 'admin')),
  -- Rights beyond those of the role: a JSON array of names.
  rights jsonb NOT NULL,
  PRIMARY KEY (group_id, account_id)
);
CREATE INDEX membership_account ON opendts.membership (account_id);
