-- Instances that somebody has paused: their runs are not claimed and their timers do not fire until they are let go on. Apart from the
-- instances, so that a hold changes none, and small, so that a claim loses nothing by asking.
CREATE TABLE holds (
    resource INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    id       TEXT NOT NULL,
    -- Who holds it, why, and since when (a date).
    who      TEXT NOT NULL,
    reason   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    UNIQUE (kind, id)
) STRICT;
