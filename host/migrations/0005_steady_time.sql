-- The time by which delays and ages are counted, as far as it had come at the last note, and what the system's date was then.
ALTER TABLE process ADD COLUMN steady_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE process ADD COLUMN noted_date INTEGER NOT NULL DEFAULT 0;
-- Tells this database from every other one.
ALTER TABLE process ADD COLUMN identity TEXT NOT NULL DEFAULT '';
UPDATE process SET identity = lower(hex(randomblob(16)));
-- When it last changed, in that time: `updated_at` is a date, which somebody may set back. NULL in rows that are older than this column.
ALTER TABLE resources ADD COLUMN touched_at INTEGER;
