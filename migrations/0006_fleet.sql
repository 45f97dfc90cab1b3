-- What the fleet keeps beside the tasks: what their prechecks found, and who uses how many connections to which server.

CREATE TABLE opendts.task_precheck (
  task_id uuid PRIMARY KEY REFERENCES opendts.task ON DELETE CASCADE,
  at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  -- Findings, estimate, what is not migrated; never values of rows.
  body jsonb NOT NULL
);

-- At most so many sessions of ours at the same time; null: as many as the tasks want.
ALTER TABLE opendts.connection ADD COLUMN max_connections integer CHECK (max_connections > 0);

-- Places that tasks have of a connection's limit; those of a worker that is not seen any more count no longer.
CREATE TABLE opendts.connection_use (
  connection_id uuid NOT NULL REFERENCES opendts.connection ON DELETE CASCADE,
  task_id uuid NOT NULL REFERENCES opendts.task ON DELETE CASCADE,
  worker_id uuid NOT NULL,
  count integer NOT NULL CHECK (count > 0),
  PRIMARY KEY (connection_id, task_id)
);
