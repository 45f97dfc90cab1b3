-- When tasks start by themselves, and when they spare their servers.

-- Null: when somebody asks for it.
ALTER TABLE opendts.task ADD COLUMN start_at timestamptz;

-- Hours of every day in which lower limits hold.
ALTER TABLE opendts.task ADD COLUMN blackout jsonb NOT NULL DEFAULT '[]';
