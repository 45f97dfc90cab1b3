-- Tasks: what they are asked to do, how far they are, what happened to them; and the workers that run them.

CREATE TABLE opendts.task (
  id uuid PRIMARY KEY,
  group_id uuid NOT NULL REFERENCES opendts.resource_group,
  -- Not unique: as in the console of the cloud.
  name text COLLATE "C" NOT NULL,
  -- Tasks of one name here are started, paused and stopped together.
  task_group text COLLATE "C",
  source_connection uuid REFERENCES opendts.connection,
  target_connection uuid REFERENCES opendts.connection,
  -- The fields of a task file but for its two ends.
  spec jsonb NOT NULL,
  class text NOT NULL,
  environment text,
  -- Only workers of this cluster run it; null: those of none.
  cluster text,
  -- What persons want; `state` is what it has come to (docs/task-states.md).
  desired text NOT NULL CHECK (desired IN ('idle', 'precheck', 'running', 'paused', 'stopped', 'released')),
  state text NOT NULL,
  state_since timestamp with time zone NOT NULL DEFAULT now(),
  -- The id that the pipeline derived: its books on the target have it.
  engine_task_id text,
  -- Raised by each taking over: who has an older one writes nothing more.
  fence bigint NOT NULL DEFAULT 0,
  worker_id uuid,
  stopped_by text CHECK (stopped_by IN ('person', 'failure')),
  -- Code, message, remedy and facts of the last failure.
  failure jsonb,
  failed_since timestamp with time zone,
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamp with time zone,
  retry_connect_minutes integer NOT NULL CHECK (retry_connect_minutes BETWEEN 10 AND 1440),
  retry_other_minutes integer NOT NULL CHECK (retry_other_minutes BETWEEN 1 AND 1440),
  -- Of tasks that share a database the latest setting counts.
  retry_set_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  -- Parameters that recovery has changed.
  adjustments jsonb NOT NULL DEFAULT '{}',
  -- First start and last end.
  started_at timestamp with time zone,
  ended_at timestamp with time zone,
  -- Grows with every change of the row; progress is kept elsewhere.
  version integer NOT NULL DEFAULT 1,
  created_by text,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT task_retry CHECK (retry_other_minutes < retry_connect_minutes)
);
CREATE INDEX task_list ON opendts.task (group_id, created_at, id);
CREATE INDEX task_desired ON opendts.task (desired, state);
CREATE INDEX task_source ON opendts.task (source_connection);
CREATE INDEX task_target ON opendts.task (target_connection);

-- The timeline. Never values of rows, never secrets.
CREATE TABLE opendts.task_event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id uuid NOT NULL REFERENCES opendts.task ON DELETE CASCADE,
  at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  kind text NOT NULL,
  from_state text,
  to_state text,
  -- Null: the service itself.
  account_id uuid,
  account_name text,
  worker_id uuid,
  facts jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX task_event_task ON opendts.task_event (task_id, id);

-- Where the owner is, about once a second.
CREATE TABLE opendts.task_progress (
  task_id uuid PRIMARY KEY REFERENCES opendts.task ON DELETE CASCADE,
  fence bigint NOT NULL,
  at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  body jsonb NOT NULL,
  delay_ms bigint
);

-- Of each table, written when it has changed: with many tables most have not.
CREATE TABLE opendts.task_table (
  task_id uuid NOT NULL REFERENCES opendts.task ON DELETE CASCADE,
  -- Name on the source, as progress shows it.
  name text COLLATE "C" NOT NULL,
  stage text NOT NULL,
  body jsonb NOT NULL,
  updated_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (task_id, name)
);

-- What a person wants for one table, until the owner has done it.
CREATE TABLE opendts.task_table_wish (
  task_id uuid NOT NULL REFERENCES opendts.task ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  wish text NOT NULL,
  asked_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  account_name text,
  PRIMARY KEY (task_id, name)
);

-- One row a minute, kept for 30 days.
CREATE TABLE opendts.task_series (
  task_id uuid NOT NULL REFERENCES opendts.task ON DELETE CASCADE,
  at timestamp with time zone NOT NULL,
  delay_ms bigint,
  lag_bytes bigint,
  rows_copied bigint NOT NULL,
  bytes_copied bigint NOT NULL,
  changes_applied bigint NOT NULL,
  PRIMARY KEY (task_id, at)
);
CREATE INDEX task_series_at ON opendts.task_series (at);

CREATE TABLE opendts.worker (
  id uuid PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  version text NOT NULL,
  region text,
  cluster text,
  host text NOT NULL,
  pid integer NOT NULL,
  started_at timestamp with time zone NOT NULL DEFAULT now(),
  seen_at timestamp with time zone NOT NULL DEFAULT now(),
  draining boolean NOT NULL DEFAULT false,
  capacity integer NOT NULL
);
