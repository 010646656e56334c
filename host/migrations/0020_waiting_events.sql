-- Events that would move an instance which somebody holds: they wait until it is let go on, and move it in the sequence in which they came.
-- Few ever do; an instance that has none is found by the index to have none.
CREATE TABLE waiting_events (
    -- In the sequence in which they came.
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    resource    INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    id          TEXT NOT NULL,
    consumer    TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    transition  TEXT NOT NULL,
    traceparent TEXT,
    -- When it came (a date).
    at          INTEGER NOT NULL,
    UNIQUE (consumer, event_id)
) STRICT;
CREATE INDEX waiting_events_resource ON waiting_events (resource, number);
