-- What people with a role have done, each row sealed with a hash over itself and the hash of the row before. Only ever added to.
CREATE TABLE audit (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    -- A date, for people.
    at             INTEGER NOT NULL,
    actor          TEXT NOT NULL,
    -- A JSON list.
    roles          TEXT NOT NULL,
    sudo           INTEGER NOT NULL,
    action         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    version_before INTEGER,
    version_after  INTEGER,
    reason         TEXT,
    request_id     TEXT,
    address        TEXT,
    prev_hash      TEXT NOT NULL,
    hash           TEXT NOT NULL
) STRICT;
CREATE INDEX audit_actor ON audit (actor);
CREATE INDEX audit_action ON audit (action);
CREATE INDEX audit_subject ON audit (subject);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
-- Also by `INSERT OR REPLACE`, which asks no trigger of deletions.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
