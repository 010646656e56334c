-- How much there was of the resources of a kind in each minute (of dates, since 1970): counted in the commits that made it so.
CREATE TABLE figures (
    kind        TEXT NOT NULL,
    minute      INTEGER NOT NULL,
    made        INTEGER NOT NULL DEFAULT 0,
    -- Those that entered a state that counts, and their amounts.
    reached     INTEGER NOT NULL DEFAULT 0,
    amount      INTEGER NOT NULL DEFAULT 0,
    -- Those that left such states.
    gone        INTEGER NOT NULL DEFAULT 0,
    gone_amount INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, minute)
) STRICT, WITHOUT ROWID;
