-- Idempotency keys have an age and are kept in the sequence of writing, so that old ones are found without looking at all of them.
CREATE TABLE idempotency_aged (
    sequence     INTEGER PRIMARY KEY,
    written_at   INTEGER NOT NULL,
    user         TEXT NOT NULL,
    key          TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    resource_id  TEXT NOT NULL,
    UNIQUE (user, key)
) STRICT;
-- Nobody knows how old those are that are there: they begin to age now.
INSERT INTO idempotency_aged (written_at, user, key, request_hash, resource_id)
    SELECT (SELECT steady_at FROM process), user, key, request_hash, resource_id FROM idempotency;
DROP TABLE idempotency;
ALTER TABLE idempotency_aged RENAME TO idempotency;
