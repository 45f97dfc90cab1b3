-- What versions that run side by side must know of each other, and what tells a task that the store was restored from an older day.

-- Why no older version may work on the store from here on; null: they may, also when they are started again. From the header of the file.
ALTER TABLE opendts.migration ADD COLUMN IF NOT EXISTS breaks text;

-- The newest migration that the worker's program knows.
ALTER TABLE opendts.worker ADD COLUMN knows integer NOT NULL DEFAULT 0;

-- What the books on the target say since the task last came to a halt: if they have another mark, it was halted in a time that the store has forgotten.
ALTER TABLE opendts.task ADD COLUMN halt_mark text;
