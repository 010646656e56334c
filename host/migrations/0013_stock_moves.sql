-- Each change of the units on hand. Of each sku the sum of `delta` is what is on hand.
CREATE TABLE stock_moves (
    seq      INTEGER PRIMARY KEY,
    sku      TEXT NOT NULL,
    delta    INTEGER NOT NULL,
    -- After it.
    on_hand  INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    note     TEXT,
    -- Id of the account; NULL of what the program does.
    actor    TEXT,
    -- The reservation, or the request.
    key      TEXT,
    -- A date, for people.
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX stock_moves_of_sku ON stock_moves (sku, seq);
-- What came back under a key came back once.
CREATE UNIQUE INDEX stock_moves_returned ON stock_moves (key, sku) WHERE reason = 'returned' AND actor IS NULL;
-- Nobody knows how the units that are there came to be: one move stands for all of that.
INSERT INTO stock_moves (sku, delta, on_hand, reserved, reason, at)
    SELECT sku, on_hand, on_hand, reserved, 'opening', (SELECT noted_date FROM process) FROM stock;

-- What a product cost since which version of it, in minor units.
CREATE TABLE prices (
    resource INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    price    INTEGER NOT NULL,
    actor    TEXT,
    -- A date, for people.
    at       INTEGER NOT NULL,
    PRIMARY KEY (resource, version)
) STRICT, WITHOUT ROWID;
