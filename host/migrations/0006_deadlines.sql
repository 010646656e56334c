-- JSON, by transition: when the instance leaves by it at the latest, by the steady time. NULL where no deadline has begun.
ALTER TABLE resources ADD COLUMN deadlines TEXT;
