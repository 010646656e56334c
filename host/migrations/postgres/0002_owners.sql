-- Several processes at once over one database.

-- Which kinds of resources a process keeps: those of another shop are kept out.
ALTER TABLE owners ADD COLUMN kinds TEXT[] NOT NULL DEFAULT '{}';
-- Of one that has ended: whether its runs were made ready for the others.
ALTER TABLE owners ADD COLUMN taken_over BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX owners_to_take_over ON owners (id) WHERE NOT taken_over;

-- Who publishes events: those of a key are all of one slot, and a slot is one process's at a time.
ALTER TABLE outbox ADD COLUMN slot SMALLINT NOT NULL
    GENERATED ALWAYS AS ((get_byte(decode(md5(key), 'hex'), 0) & 63)::smallint) STORED;
CREATE TABLE slots (
    slot  SMALLINT PRIMARY KEY,
    -- Nobody's where it is null, or where that process has ended.
    owner BIGINT
);
INSERT INTO slots (slot) SELECT * FROM generate_series(0, 63);
