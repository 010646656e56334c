-- Grows when what an account was given before is no longer to be believed; tokens say which one they were made with.
ALTER TABLE users ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
-- The epoch that other processes were last told of.
ALTER TABLE users ADD COLUMN told_epoch INTEGER NOT NULL DEFAULT 0;
-- Who may not log in.
ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;
-- The second factor as JSON; NULL where there is none.
ALTER TABLE users ADD COLUMN second_factor TEXT;
CREATE INDEX users_untold ON users (id) WHERE epoch <> told_epoch;
-- Of accounts that another process keeps: tokens of an older epoch that were made until then have ended. `at` is a date in seconds since 1970.
CREATE TABLE heard_epochs (
    user_id TEXT PRIMARY KEY,
    epoch   INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Who may set a password without the old one, until then (steady time). The key is a digest of what was sent to them.
CREATE TABLE password_resets (
    digest     TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX password_resets_of ON password_resets (user_id);
