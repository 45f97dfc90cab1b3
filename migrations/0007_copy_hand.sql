-- One task copied by several workers: its owner offers what is copied under one snapshot (a pass), other workers lend hands to it, and each
-- hand is given one batch of chunks after the other. What is copied stands in the books on the target; nothing here is needed to go on.

CREATE TABLE opendts.copy_pass (
  id uuid PRIMARY KEY,
  task_id uuid NOT NULL REFERENCES opendts.task ON DELETE CASCADE,
  -- The task's, as its owner had it: once the task has another, this is nobody's.
  fence bigint NOT NULL,
  -- Of the messages: a worker that knows another one lends no hand.
  format integer NOT NULL,
  -- What a hand works with: the snapshot, the fence of the copy, what is recorded with the rows. Who lends one looks the connections up.
  hand_task jsonb NOT NULL,
  -- Hands of one worker, at most,
  jobs integer NOT NULL,
  -- and of all others together.
  hands integer NOT NULL,
  bytes_left bigint NOT NULL,
  -- Of each hand; bytes, rows and statements a second.
  limits jsonb NOT NULL,
  -- It ends: hands are closed.
  is_over boolean NOT NULL DEFAULT false,
  -- When the owner was last heard of.
  beat_at timestamp with time zone NOT NULL DEFAULT now()
);
CREATE INDEX copy_pass_task ON opendts.copy_pass (task_id);

CREATE TABLE opendts.copy_hand (
  id uuid PRIMARY KEY,
  pass_id uuid NOT NULL REFERENCES opendts.copy_pass ON DELETE CASCADE,
  worker_id uuid NOT NULL,
  state text NOT NULL DEFAULT 'opening' CHECK (state IN ('opening', 'ready', 'given', 'copying', 'done', 'failed')),
  -- Grows while its worker lives.
  beats bigint NOT NULL DEFAULT 0,
  -- Which of its batches it is at, from 1 on,
  unit integer NOT NULL DEFAULT 0,
  batch jsonb,
  -- how far it is, by chunk: bytes and rows,
  passed jsonb NOT NULL DEFAULT '{}',
  -- and what came of it: the chunks as recorded on the target, or the error.
  result jsonb
);
CREATE INDEX copy_hand_pass ON opendts.copy_hand (pass_id);
