-- Resources by what is in their data: a row for each value that their handler says they are found by. A value is a text or a whole number.
CREATE TABLE resource_keys (
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    value      ANY NOT NULL,
    -- Those of the resource: they never change, and lists have their sequence.
    created_at INTEGER NOT NULL,
    id         TEXT NOT NULL,
    PRIMARY KEY (kind, name, value, created_at, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX resource_keys_newest ON resource_keys (kind, name, created_at, id, value) WHERE typeof(value) = 'integer';
-- How far older resources were given their keys: those of `spec`, up to `next`; NULL when all have them, -1 while those of another spec are
-- removed.
CREATE TABLE resource_keying (
    kind TEXT NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL,
    next INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX resources_state ON resources (kind, state, created_at, id);
CREATE INDEX resources_asking ON resources (kind, created_at, id) WHERE attention IS NOT NULL;
-- What staff have noted of a resource.
CREATE TABLE notes (
    seq    INTEGER PRIMARY KEY,
    kind   TEXT NOT NULL,
    id     TEXT NOT NULL,
    at     INTEGER NOT NULL,
    author TEXT NOT NULL,
    text   TEXT NOT NULL
) STRICT;
CREATE INDEX notes_of ON notes (kind, id, seq);
