-- Versions of components by a small number: a digest is two thirds of the row of history that names it. Rows from before keep theirs.
CREATE TABLE digests (
    pk     INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE
) STRICT;
ALTER TABLE history ADD COLUMN digest_pk INTEGER;
