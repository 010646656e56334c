-- Times are microseconds since 1970 (UTC). `pk` and `sequence` are assigned in the sequence of writing.

CREATE TABLE process (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    -- Grows with every process that opens the database.
    epoch INTEGER NOT NULL,
    -- The last outbox position given out when rows were pruned, so that no position is given out twice.
    pruned_position INTEGER NOT NULL
) STRICT;
INSERT INTO process (id, epoch, pruned_position) VALUES (1, 0, 0);

CREATE TABLE resources (
    pk         INTEGER PRIMARY KEY,
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    owner      TEXT,
    state      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    workflow   TEXT,
    machine    TEXT,
    instance   TEXT,
    attention  TEXT,
    finished   INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    data       TEXT NOT NULL,
    UNIQUE (kind, id)
) STRICT;
CREATE INDEX resources_newest ON resources (kind, created_at, id);
CREATE INDEX resources_owned ON resources (kind, owner, created_at, id) WHERE owner IS NOT NULL;
CREATE INDEX resources_active ON resources (workflow) WHERE finished = 0;
CREATE INDEX resources_attention ON resources (pk) WHERE attention IS NOT NULL;

CREATE TABLE history (
    resource   INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    transition TEXT NOT NULL,
    at         INTEGER NOT NULL,
    cause      TEXT NOT NULL,
    component  TEXT,
    digest     TEXT,
    attempt    INTEGER,
    reason     TEXT,
    PRIMARY KEY (resource, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE timers (
    resource   INTEGER NOT NULL,
    transition TEXT NOT NULL,
    version    INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    PRIMARY KEY (resource, transition)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_due ON timers (due_at);

CREATE TABLE step_runs (
    sequence      INTEGER PRIMARY KEY,
    key           TEXT NOT NULL UNIQUE,
    resource_kind TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    workflow      TEXT NOT NULL,
    kind          TEXT NOT NULL,
    name          TEXT NOT NULL,
    component     TEXT NOT NULL,
    visit         INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,
    transition    TEXT NOT NULL,
    from_state    TEXT NOT NULL,
    to_state      TEXT NOT NULL,
    input         TEXT,
    status        TEXT NOT NULL,
    owner         INTEGER,
    fence         INTEGER NOT NULL,
    crashes       INTEGER NOT NULL,
    due_at        INTEGER NOT NULL,
    written_at    INTEGER NOT NULL,
    last_error    TEXT
) STRICT;
CREATE INDEX step_runs_resource ON step_runs (resource_id, resource_kind);
-- Small whatever the table holds: claiming, recovery and the counts never look at what has ended.
CREATE INDEX step_runs_open ON step_runs (status, due_at) WHERE status <> 'done';

CREATE TABLE outbox (
    position    INTEGER PRIMARY KEY,
    written_at  INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    topic       TEXT NOT NULL,
    key         TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    traceparent TEXT,
    payload     TEXT NOT NULL
) STRICT;
-- Apart from the events, so that marking one published does not write its payload again.
CREATE TABLE unpublished (
    position INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE inbox (
    sequence   INTEGER PRIMARY KEY,
    written_at INTEGER NOT NULL,
    consumer   TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    UNIQUE (consumer, event_id)
) STRICT;

CREATE TABLE idempotency (
    user         TEXT NOT NULL,
    key          TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    resource_id  TEXT NOT NULL,
    PRIMARY KEY (user, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer    TEXT NOT NULL,
    reason      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    topic       TEXT NOT NULL,
    key         TEXT NOT NULL,
    event_id    TEXT NOT NULL,
    traceparent TEXT,
    payload     TEXT NOT NULL
) STRICT;

CREATE TABLE users (
    id            TEXT NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL,
    email         TEXT NOT NULL,
    -- The e-mail in lower case.
    email_key     TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stock (
    sku      TEXT NOT NULL PRIMARY KEY,
    on_hand  INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    CHECK (0 <= reserved AND reserved <= on_hand)
) STRICT, WITHOUT ROWID;

CREATE TABLE reservations (
    key    TEXT NOT NULL PRIMARY KEY,
    status TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE reservation_lines (
    reservation TEXT NOT NULL REFERENCES reservations (key) ON DELETE CASCADE,
    sku         TEXT NOT NULL,
    quantity    INTEGER NOT NULL,
    PRIMARY KEY (reservation, sku)
) STRICT, WITHOUT ROWID;

CREATE TABLE machines (
    digest     TEXT NOT NULL PRIMARY KEY,
    definition TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE components (
    component TEXT NOT NULL PRIMARY KEY,
    digest    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
